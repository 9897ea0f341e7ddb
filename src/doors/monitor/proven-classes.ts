import type { ClassReport } from "../../core/index.ts";
import type { ExecutorView } from "../../engine/executor.ts";

type Classes = ExecutorView["capabilities"]["isolation"];

/**
 * Remembers which classes of isolation this host was last seen to reach. At the start, and whenever what stands behind them may
 * have changed, they are tested anew for about a second; what is told of the host must not come and go with that.
 */
export class ProvenClasses {
  #last: Classes | undefined;

  /** `undefined` until the first test of each class has ended. */
  of({ classes, capabilities }: Pick<ExecutorView, "classes" | "capabilities">): Classes | undefined {
    if (!classes.some(isBeingTested)) this.#last = capabilities.isolation;
    return this.#last;
  }
}

/** One whose test could not be carried out stays unproven, with a reason: nobody waits for that. */
function isBeingTested({ state, reasons }: ClassReport): boolean {
  return state === "unproven" && reasons.length === 0;
}
