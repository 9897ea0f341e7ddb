/** What is known of one test, or of a failure that is no test's. */
export interface Entry {
  /** Where it stands; none where no file is to blame. */
  readonly file?: string;
  readonly title: string;
  readonly state: string;
  /** Why it was skipped. */
  readonly note?: string;
  readonly error?: string;
}

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly string[];
  readonly failures: readonly string[];
}

export function readVitestReport(path: string): Entry[];
export function countEntries(entries: readonly Entry[]): Counts;
export function failedAmong(entries: readonly Entry[]): Entry[];
export function tellFailure(entry: Entry): string;
