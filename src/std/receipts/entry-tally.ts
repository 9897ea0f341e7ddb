import type { ChainEntry, ChainReport } from "../../core/index.ts";

type Counts = Pick<ChainReport, "attempts" | "lost" | "crashes" | "isAnew" | "refused" | "prunedTo">;

/** Adds up what the entries of a chain say. */
export class EntryTally {
  #attempts = 0;
  #lost = 0;
  #crashes = 0;
  #isAnew = false;
  #refused = 0;
  #prunedTo = 0;
  /** The hash of the newest entry that was dropped, as the chain says. */
  prunedHash: string | undefined;

  get counts(): Counts {
    return {
      attempts: this.#attempts,
      lost: this.#lost,
      crashes: this.#crashes,
      isAnew: this.#isAnew,
      refused: this.#refused,
      prunedTo: this.#prunedTo,
    };
  }

  count(entry: ChainEntry): void {
    switch (entry.type) {
      case "attempt":
        this.#attempts += 1;
        break;
      case "gap":
        this.#lost += entry.lost ?? 0;
        if (entry.reason === "crash") this.#crashes += 1;
        break;
      case "opened":
        this.#isAnew ||= entry.isAnew === true;
        break;
      case "refused":
        for (const count of Object.values(entry.counts)) this.#refused += count;
        break;
      case "pruned":
        this.#prunedTo = entry.last;
        this.prunedHash = entry.head;
        break;
      default:
        break;
    }
  }
}
