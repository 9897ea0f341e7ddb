import type { HostEvent } from "../../../contract/v1/events.ts";
import type { CallStory } from "../../../core/index.ts";
import type { NewEvent } from "./event-ring.ts";
import { TimeCounts } from "./time-counts.ts";

type CallSample = Extract<HostEvent, { type: "calls" }>["samples"][number];

const SAMPLES = 5;

/** The calls of one interval in a few numbers: what a call costs here does not depend on how many there are. */
export class CallCounts {
  readonly #took = new TimeCounts();
  readonly #waited = new TimeCounts();
  readonly #ends = { answered: 0, failed: 0, cancelled: 0 };
  readonly #starts = { warm: 0, thawed: 0, cold: 0 };
  #samples: CallSample[] = [];
  #bytesIn = 0;
  #bytesOut = 0;
  #calls = 0;

  add(call: CallStory): void {
    const end = call.end ?? "cancelled";
    const { placement } = call;
    this.#calls += 1;
    this.#ends[end] += 1;
    if (placement !== undefined) this.#starts[placement.start] += 1;
    this.#bytesIn += call.bytesIn;
    this.#bytesOut += call.bytesOut;
    if (end === "answered") {
      this.#took.add(tookMsOf(call));
      this.#waited.add(placement?.waitedMs ?? 0);
    }
    // At full load too: five small objects a second.
    if (this.#samples.length < SAMPLES) this.#samples.push(sampleOf(call));
  }

  /** The interval as an event, if there was anything; begins anew. */
  take(intervalMs: number): NewEvent | undefined {
    if (this.#calls === 0) return undefined;
    const event: NewEvent = {
      type: "calls",
      intervalMs: Math.round(intervalMs),
      ...this.#ends,
      ...this.#starts,
      tookMs: this.#took.take(),
      waitedMs: this.#waited.take(),
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      samples: this.#samples,
    };
    Object.assign(this.#ends, { answered: 0, failed: 0, cancelled: 0 });
    Object.assign(this.#starts, { warm: 0, thawed: 0, cold: 0 });
    this.#samples = [];
    this.#bytesIn = 0;
    this.#bytesOut = 0;
    this.#calls = 0;
    return event;
  }
}

export function tookMsOf({ acceptedAtMs, endedAtMs }: CallStory): number {
  return Math.max(0, (endedAtMs ?? acceptedAtMs) - acceptedAtMs);
}

/** From accepted to a slot; of a call that never got one, all its time. */
export function waitedMsOf(call: CallStory): number {
  return call.placement?.waitedMs ?? tookMsOf(call);
}

function sampleOf(call: CallStory): CallSample {
  const { runId, task, door, placement, end, status } = call;
  return {
    ...(runId === undefined ? {} : { runId }),
    image: task.image,
    door,
    ...(placement === undefined ? {} : { sandboxId: placement.sandboxId, start: placement.start }),
    end: end ?? "cancelled",
    ...(status === undefined ? {} : { status }),
    waitedMs: waitedMsOf(call),
    tookMs: tookMsOf(call),
  };
}
