import type { ChainPlace, ChainWriter } from "./chain-writer.ts";
import type { ChainVerbs } from "./open-chain.ts";
import { openChain } from "./open-chain.ts";

/** A writer on this thread: for sources that run without having been built, where there is no program for another. */
export async function startLocalWriter(place: ChainPlace): Promise<ChainWriter> {
  const libsql = await import("libsql");
  const verbs = openChain(libsql.default, place);
  return Object.fromEntries(
    Object.entries(verbs).map(([name, verb]) => [
      name,
      // Behind what runs now, as over a thread.
      async (...args: unknown[]): Promise<unknown> => {
        await Promise.resolve();
        return (verb as (...args: unknown[]) => unknown)(...args);
      },
    ]),
  ) as { readonly [Verb in keyof ChainVerbs]: ChainWriter[Verb] };
}
