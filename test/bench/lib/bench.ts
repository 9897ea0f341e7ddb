import type { Goal } from "./goal.ts";

/** One line of the table: what was measured, and the figures, each under a name with its unit. */
export interface Row {
  readonly case: string;
  readonly figures: Readonly<Record<string, number | string>>;
  /** What `docs/performance.md` promises of them. */
  readonly goal?: Goal;
}

export interface BenchOptions {
  /** Fewer and shorter rounds: shows that it works, proves nothing, and so fails for no goal. */
  readonly isQuick: boolean;
}

/** One part of `npm run bench`. What it starts has ended when `run` has. */
export interface Bench {
  readonly name: string;
  /** A sentence: what is compared with what. */
  readonly summary: string;
  run(options: BenchOptions): Promise<readonly Row[]>;
}
