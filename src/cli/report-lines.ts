import type { ChainReport } from "../core/index.ts";

/** What checking a chain has come to, for a person: the verdict, then what it rests on. */
export function reportLines(report: ChainReport): readonly string[] {
  const { isWhole, faults, first, last, chain, head, signedAtUs } = report;
  const range = last === 0 ? "it has no entries" : `entries ${first} to ${last}`;
  const verdict = isWhole
    ? [`whole: ${range}, ${report.attempts} attempts`]
    : faults.map(
        ({ line, seq, what }) =>
          `broken at line ${line}${seq === undefined ? "" : `, entry ${seq}`}: ${what}`,
      );
  const rows: [string, string | undefined][] = [
    ["chain", chain],
    [
      "key",
      `${report.publicKey}, ${report.isPinned ? "as given" : "taken from the chain itself: compare it with one that you noted"}`,
    ],
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

function coverage({ isComplete, isFromStart, prunedTo, last, newest }: ChainReport): string {
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
