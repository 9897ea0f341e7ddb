import type { Row } from "./bench.ts";

/** What a figure is promised to be. */
export type Bound =
  /** `aim` is wished for and not promised. */
  | { readonly atLeast: number; readonly aim?: number }
  | { readonly atMost: number }
  | { readonly exactly: number };

/** What is promised of a row, by the names of its figures. */
export type Goal = Readonly<Record<string, Bound>>;

export type Verdict = "met" | "missed";

/** As the table prints it. */
export function goalText(goal: Goal): string {
  return Object.entries(goal)
    .map(([name, bound]) => `${name} ${boundText(bound)}`)
    .join(", ");
}

/** Nothing of a row without a goal. A figure that is not there, or is no number, misses whatever is promised of it. */
export function verdictOf({ figures, goal }: Row): Verdict | undefined {
  if (goal === undefined) return undefined;
  const isMet = Object.entries(goal).every(([name, bound]) => holds(figures[name], bound));
  return isMet ? "met" : "missed";
}

/** @returns 1 if a goal is missed, unless the rounds were too short to prove anything. */
export function exitCodeOf(rows: readonly Row[], { isQuick }: { readonly isQuick: boolean }): 0 | 1 {
  return !isQuick && rows.some((row) => verdictOf(row) === "missed") ? 1 : 0;
}

function boundText(bound: Bound): string {
  if ("atMost" in bound) return `<= ${bound.atMost}`;
  if ("exactly" in bound) return `= ${bound.exactly}`;
  return `>= ${bound.atLeast}${bound.aim === undefined ? "" : ` (aim ${bound.aim})`}`;
}

function holds(figure: Row["figures"][string] | undefined, bound: Bound): boolean {
  if (typeof figure !== "number") return false;
  if ("atMost" in bound) return figure <= bound.atMost;
  if ("exactly" in bound) return figure === bound.exactly;
  return figure >= bound.atLeast;
}
