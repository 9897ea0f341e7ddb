import { findProgram, runProgram } from "./run-nft.ts";

/** Marks a rule in the host's own chain as one of ours, whichever daemon's. */
const COMMENT = "hearth";
const IPTABLES = ["-w", "5"];

/** What was found at the end of the host's own `FORWARD` chain. */
export interface ForwardPass {
  /** Why packets of the owner's interfaces would be dropped there all the same; `undefined` where they pass. */
  readonly problem: string | undefined;
}

/**
 * Where the `FORWARD` chain of iptables drops what no rule decides, as Docker sets it, lets what comes out of the owner's
 * interfaces pass at its very end, and answers on the way back. So every rule of the host's operator and of other programs
 * comes first, and what may leave was already decided by the owner's own table, which is ahead of all of them. Right also when
 * they stand already. Never rejects.
 *
 * @param facePrefix what the names of these interfaces begin with, and no other's.
 */
export async function raiseForwardPass(facePrefix: string): Promise<ForwardPass> {
  const iptables = findProgram("iptables");
  if (iptables === undefined) return { problem: "iptables is not installed" };
  try {
    const lines = await forwardChain(iptables);
    if (lines[0] !== "-P FORWARD DROP") return { problem: undefined };
    const stale = ownRules(lines, facePrefix);
    const last = lines.slice(lines.findLastIndex((line) => !line.includes(`--comment ${COMMENT} `)) + 1);
    if (stale.length === 2 && ownRules(last, facePrefix).length === 2) return { problem: undefined };
    // First the new ones: `-D` takes the first that is alike, so that at no time there is none.
    for (const rule of wantedRules(facePrefix)) await runProgram(iptables, [...IPTABLES, "-A", ...rule]);
    for (const rule of stale) await removeRule(iptables, rule);
    return { problem: undefined };
  } catch (error) {
    return { problem: `iptables says: ${error instanceof Error ? error.message : "unknown"}` };
  }
}

/** Removes what {@link raiseForwardPass} made, of whichever life. @throws Error with what iptables said. */
export async function lowerForwardPass(facePrefix: string): Promise<void> {
  const iptables = findProgram("iptables");
  if (iptables === undefined) return;
  for (const rule of ownRules(await forwardChain(iptables), facePrefix)) await removeRule(iptables, rule);
}

function wantedRules(facePrefix: string): readonly (readonly string[])[] {
  const end = ["-m", "comment", "--comment", COMMENT, "-j", "ACCEPT"];
  return [
    ["FORWARD", "-i", `${facePrefix}+`, ...end],
    ["FORWARD", "-o", `${facePrefix}+`, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", ...end],
  ];
}

/** Of the lines of a chain, those that are ours. */
export function ownRules(lines: readonly string[], facePrefix: string): readonly string[] {
  return lines.filter((line) => {
    const words = line.split(" ");
    return words[0] === "-A" && words.includes(COMMENT) && words.includes(`${facePrefix}+`);
  });
}

async function forwardChain(iptables: string): Promise<readonly string[]> {
  const text = await runProgram(iptables, [...IPTABLES, "-S", "FORWARD"]);
  return text.split("\n").filter((line) => line !== "");
}

async function removeRule(iptables: string, rule: string): Promise<void> {
  await runProgram(iptables, [...IPTABLES, "-D", ...rule.split(" ").slice(1)]);
}
