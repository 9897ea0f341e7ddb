import type { CallStory, ErrorFacts } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";

/** How many failures are remembered; what came before them, or in an earlier life, has only what its receipt keeps. */
const KEPT = 1000;
/** Of the values of one failure. A task's last words can be longer, and are not figures. */
const MOST_CHARACTERS = 500;

/** What the last failures were told with, as it was: a receipt keeps less of it, and comes a moment later. */
export class FailureFacts {
  readonly #kept = new Map<string, ErrorFacts>();

  add({ runId, error }: Pick<CallStory, "runId" | "error">): void {
    if (runId === undefined || !(error instanceof ExecutorError) || error.code === "INTERNAL") return;
    const facts = short(error.facts);
    if (Object.keys(facts).length === 0) return;
    this.#kept.set(runId, facts);
    if (this.#kept.size <= KEPT) return;
    // In the order in which they came.
    for (const oldest of this.#kept.keys()) {
      this.#kept.delete(oldest);
      break;
    }
  }

  /** Empty when nothing is remembered. */
  of(runId: string): ErrorFacts {
    return this.#kept.get(runId) ?? {};
  }
}

function short(facts: ErrorFacts): ErrorFacts {
  return Object.fromEntries(
    Object.entries(facts).filter(
      ([, value]) => value !== undefined && JSON.stringify(value).length <= MOST_CHARACTERS,
    ),
  );
}
