import { findNft, runNft } from "./run-nft.ts";

/**
 * The chains of others on this host that refuse to pass a packet on unless a rule of theirs lets it, such as Docker's: no rule of
 * ours can overrule them. Empty also where nobody can tell.
 *
 * @returns each as `family table chain`.
 */
export async function forwardDroppers(): Promise<readonly string[]> {
  const nft = findNft();
  if (nft === undefined) return [];
  try {
    return readDroppers(await runNft(nft, ["-j", "list", "chains"]));
  } catch {
    return [];
  }
}

/** @see libnftables-json(5): a list of objects, of which those with `chain` may have a `hook` and a `policy`. */
export function readDroppers(json: string): readonly string[] {
  const { nftables } = JSON.parse(json) as { readonly nftables: readonly { readonly chain?: Chain }[] };
  return nftables.flatMap(({ chain }) => {
    if (chain?.hook !== "forward" || chain.policy !== "drop" || chain.family === "bridge") return [];
    return [`${chain.family} ${chain.table} ${chain.name}`];
  });
}

interface Chain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}
