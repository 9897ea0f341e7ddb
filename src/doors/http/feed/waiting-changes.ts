import type { Host } from "../../../contract/v1/host.ts";
import type { WaitingCall } from "../../../contract/v1/sandboxes.ts";
import type { EventRing } from "./event-ring.ts";

/** Tells when calls of a task begin to wait, wait for another reason, or wait no more. */
export class WaitingChanges {
  readonly #ring: EventRing;
  readonly #known = new Map<string, WaitingCall>();

  constructor(ring: EventRing) {
    this.#ring = ring;
  }

  clear(): void {
    this.#known.clear();
  }

  compare(all: readonly WaitingCall[]): void {
    const keys = new Set(all.map(keyOf));
    for (const [key, known] of this.#known) {
      if (keys.has(key)) continue;
      this.#known.delete(key);
      this.#tell({ ...known, callers: 0 });
    }
    for (const waiting of all) {
      const isNews = this.#known.get(keyOf(waiting))?.reason !== waiting.reason;
      this.#known.set(keyOf(waiting), waiting);
      if (isNews) this.#tell(waiting);
    }
  }

  #tell({ taskKey, image, callers, waitedMs, reason, jobIds }: WaitingCall): void {
    const jobs = jobIds === undefined ? {} : { areJobs: true };
    this.#ring.append({ type: "waiting", taskKey, image, callers, waitedMs, reason, ...jobs });
  }
}

/** Calls and jobs may wait for the same task. */
function keyOf({ taskKey, jobIds }: WaitingCall): string {
  return jobIds === undefined ? taskKey : `job ${taskKey}`;
}

/** What a host's figures say of now, not of what it offers. */
const GAUGES = new Set([
  "state",
  "cpuPercent",
  "memoryPercent",
  "memoryAvailableBytes",
  // Of the disk.
  "availableBytes",
  "reservedBytes",
  "reserved",
  "reservedByDoor",
  "running",
  "waiting",
  "sandboxes",
  "jobs",
  // Of each card.
  "memoryUsedBytes",
  "computePercent",
  "isBusyOutside",
  "holders",
]);

/** Tells when what the host offers differs from the last look. @returns what to compare the next one with. */
export function tellOffer(ring: EventRing, before: string, host: Host): string {
  const offer = JSON.stringify(host, (key, value: unknown) => (GAUGES.has(key) ? undefined : value));
  if (before !== "" && before !== offer) ring.append({ type: "offer", host });
  return offer;
}
