import type { ChainReport } from "../core/index.ts";

/**
 * What checking a chain has come to, for a person: the verdict, then what it rests on.
 *
 * @param wanted the key that it should be signed with, if one was given.
 */
export function reportLines(report: ChainReport, wanted?: string): readonly string[] {
  const { isWhole, faults, first, last, chain, head, signedAtUs } = report;
  const whole =
    last === 0
      ? "nothing to check: it has no entries"
      : `whole: entries ${first} to ${last}, ${report.attempts} attempts`;
  const verdict = isWhole
    ? [whole]
    : faults.map(
        ({ line, seq, what }) =>
          `broken at line ${line}${seq === undefined ? "" : `, entry ${seq}`}: ${what}`,
      );
  const rows: [string, string | undefined][] = [
    ["chain", chain],
    ["key", keyRemark(report, wanted)],
    ["covers", coverage(report)],
    ["missing", missing(report)],
    ["refused", report.refused === 0 ? undefined : `${report.refused} calls were only counted`],
    ["head", head === "" ? undefined : head],
    ["signed", signedAtUs === 0 ? undefined : new Date(signedAtUs / 1000).toISOString()],
  ];
  return [
    ...verdict,
    ...rows.flatMap(([name, value]) =>
      value === undefined || value === "" ? [] : [`${name.padEnd(9)} ${value}`],
    ),
  ];
}

function keyRemark({ publicKey, isPinned }: ChainReport, wanted: string | undefined): string | undefined {
  if (publicKey === "") return undefined;
  if (isPinned) return `${publicKey}, as given`;
  return wanted === undefined
    ? `${publicKey}, taken from the chain itself: compare it with one that you noted`
    : `${publicKey}, which is not the one given: ${wanted}`;
}

function coverage({
  publicKey,
  isComplete,
  hasEnd,
  isFromStart,
  prunedTo,
  last,
  newest,
}: ChainReport): string | undefined {
  if (publicKey === "") return undefined;
  if (!hasEnd) return "what is here: without the signed end it is not known how far the chain went";
  if (last === 0) {
    return newest === 0
      ? "nothing: nothing is recorded yet"
      : `nothing: the chain went on to entry ${newest}`;
  }
  if (isComplete && isFromStart) return "everything from the beginning";
  if (isComplete)
    return `everything since entry ${prunedTo}: what came before was dropped to keep within the limits`;
  return last < newest
    ? `a part: the chain went on to entry ${newest}`
    : "a part: what came before was not asked for";
}

/** What the chain itself says that it does not hold. */
function missing({ lost, crashes, isAnew }: ChainReport): string | undefined {
  const parts = [
    ...(isAnew
      ? ["whatever was recorded before entry 1: the chain was begun anew, under a key that is older"]
      : []),
    ...(lost === 0 ? [] : [`${lost} attempts could not be recorded`]),
    ...(crashes === 0
      ? []
      : [`${crashes} times the daemon ended without closing it, and may have lost its last moments`]),
  ];
  return parts.length === 0 ? undefined : parts.join("; ");
}
