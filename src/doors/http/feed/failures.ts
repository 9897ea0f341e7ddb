import type { CallStory, ErrorCode } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { tookMsOf, waitedMsOf } from "./call-counts.ts";
import type { EventRing } from "./event-ring.ts";

/** How many failures of one window are told one by one; a flood of refusals must not cost more than it refuses. */
const TOLD = 20;
const WINDOW_MS = 1000;

/** Tells of failed calls: each by itself as long as they are few, counted when they are many. */
export class Failures {
  readonly #ring: EventRing;
  readonly #nowMs: () => number;
  #windowSinceMs = Number.NEGATIVE_INFINITY;
  #told = 0;
  #untold = 0;
  #byCode: Partial<Record<ErrorCode, number>> = {};

  constructor(ring: EventRing, nowMs: () => number) {
    this.#ring = ring;
    this.#nowMs = nowMs;
  }

  add(call: CallStory): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#windowSinceMs >= WINDOW_MS) {
      this.flush();
      this.#windowSinceMs = nowMs;
      this.#told = 0;
    }
    const error = ExecutorError.from(call.error);
    if (this.#told >= TOLD) {
      this.#untold += 1;
      this.#byCode[error.code] = (this.#byCode[error.code] ?? 0) + 1;
      return;
    }
    this.#told += 1;
    const { runId, task, door, placement } = call;
    this.#ring.append({
      type: "callFailed",
      ...(runId === undefined ? {} : { runId }),
      image: task.image,
      door,
      ...(placement === undefined ? {} : { sandboxId: placement.sandboxId }),
      fault: error.spec.fault,
      code: error.code,
      detail: detailOf(error),
      waitedMs: waitedMsOf(call),
      tookMs: tookMsOf(call),
    });
  }

  /** Says how many were not told, if any. */
  flush(): void {
    if (this.#untold === 0) return;
    this.#ring.append({ type: "callsFailed", untold: this.#untold, byCode: this.#byCode });
    this.#untold = 0;
    this.#byCode = {};
  }
}

/** As in a problem: what is not ours is told without its text. Bounded, since a task's last words may be in it. */
export function detailOf(error: ExecutorError): string {
  return (error.code === "INTERNAL" ? error.spec.text : error.message).slice(0, 500);
}
