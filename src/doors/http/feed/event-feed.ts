import type { ConfigEntry } from "../../../contract/v1/config.ts";
import type { JobStory, Observer, SandboxChange, StartStory } from "../../../core/index.ts";
import { ExecutorError, NO_OBSERVER } from "../../../core/index.ts";
import { CallCounts } from "./call-counts.ts";
import { EventRing } from "./event-ring.ts";
import { FailureFacts } from "./failure-facts.ts";
import { detailOf, Failures } from "./failures.ts";

/** How far back a reader may have been away; what is rare lasts for hours, a flood of failures for minutes. */
const KEPT_EVENTS = 4096;

export interface EventFeedOptions {
  /** Names this life of the daemon. */
  readonly life: string;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  readonly keptEvents?: number;
}

/**
 * What happens on this host, as events. It is made before the executor, whose observer it is, and read by the doors' streams.
 * While nobody reads, a call that is answered costs it one comparison.
 */
export class EventFeed {
  readonly ring: EventRing;
  readonly observer: Observer;
  /** What runs of this life failed of. */
  readonly facts = new FailureFacts();
  readonly #counts = new CallCounts();
  readonly #failures: Failures;
  readonly #changed = new Set<() => void>();
  #settings = new Map<string, ConfigEntry["value"]>();
  #isCounting = false;
  #countedSinceMs = 0;

  constructor({ life, nowMs, keptEvents = KEPT_EVENTS }: EventFeedOptions) {
    this.ring = new EventRing(life, keptEvents, nowMs);
    this.#failures = new Failures(this.ring, nowMs);
    this.observer = {
      ...NO_OBSERVER,
      callEnded: (call) => {
        if (this.#isCounting) this.#counts.add(call);
        if (call.end !== "failed") return;
        this.#failures.add(call);
        this.facts.add(call);
      },
      startEnded: (start) => this.#startEnded(start),
      sandboxChanged: (change) => this.#sandboxChanged(change),
      jobChanged: (job, from) => {
        this.ring.append({
          type: "job",
          ...jobHead(job),
          ...(from === undefined ? {} : { from }),
          to: job.state,
        });
      },
      jobEnded: (job) => this.#jobEnded(job),
      executorChanged: (state) => {
        this.ring.append({ type: "executor", state });
        this.#notify();
      },
    };
  }

  /** Begins or ends to count calls: only somebody who reads wants to know how many there are. */
  count(isOn: boolean, nowMs: number): void {
    if (isOn === this.#isCounting) return;
    this.#isCounting = isOn;
    this.#countedSinceMs = nowMs;
    this.#counts.take(0);
  }

  /** Tells what was counted since the last time. */
  flush(nowMs: number): void {
    this.#failures.flush();
    const calls = this.#counts.take(nowMs - this.#countedSinceMs);
    this.#countedSinceMs = nowMs;
    if (calls !== undefined) this.ring.append(calls);
  }

  /** Hears of what a page should show at once. */
  onChange(callback: () => void): () => void {
    this.#changed.add(callback);
    return () => this.#changed.delete(callback);
  }

  /** The settings in force, first for comparison, then each time they may have changed. Secrets come masked. */
  settings(entries: readonly ConfigEntry[]): void {
    const before = this.#settings;
    this.#settings = new Map(entries.map(({ key, value }) => [key, value]));
    if (before.size === 0) return;
    const changed = entries
      .filter(({ key, value }) => JSON.stringify(value) !== JSON.stringify(before.get(key)))
      .map(({ key, value }) => {
        const old = before.get(key);
        return { key, ...(old === undefined ? {} : { before: old }), after: value };
      });
    if (changed.length === 0) return;
    this.ring.append({ type: "config", changed });
    this.#notify();
  }

  #notify(): void {
    for (const callback of this.#changed) callback();
  }

  #sandboxChanged(change: SandboxChange): void {
    const { sandboxId, task, taskKey, door, isolation, from, to, cause, forSandbox } = change;
    this.ring.append({
      type: "sandbox",
      sandboxId,
      image: task.image,
      taskKey,
      door,
      ...(isolation === undefined ? {} : { isolation }),
      ...(from === undefined ? {} : { from }),
      to,
      ...(cause === undefined ? {} : { cause }),
      ...(forSandbox === undefined ? {} : { forSandbox }),
    });
  }

  #jobEnded(job: JobStory): void {
    const { isolation, acceptedAtMs, startedAtMs, endedAtMs = acceptedAtMs, error } = job;
    const thrown = error === undefined ? undefined : ExecutorError.from(error);
    this.ring.append({
      type: "jobEnded",
      ...jobHead(job),
      cause: job.end ?? "lost",
      ...(isolation === undefined ? {} : { isolation }),
      waitedMs: round((startedAtMs ?? endedAtMs) - acceptedAtMs),
      ranMs: startedAtMs === undefined ? 0 : round(endedAtMs - startedAtMs),
      bytesIn: job.bytesIn,
      bytesOut: job.bytesOut,
      ...(thrown === undefined ? {} : { problem: { code: thrown.code, detail: detailOf(thrown) } }),
    });
  }

  #startEnded(start: StartStory): void {
    const { task, taskKey, door, sandboxId, isolation, error, endedAtMs, beganAtMs } = start;
    const thrown = error === undefined ? undefined : ExecutorError.from(error);
    this.ring.append({
      type: "start",
      image: task.image,
      taskKey,
      door,
      ...(sandboxId === undefined ? {} : { sandboxId }),
      ...(isolation === undefined ? {} : { isolation }),
      isReady: error === undefined,
      isUnwanted: start.isUnwanted,
      wasPulled: start.wasPulled,
      tookMs: round((endedAtMs ?? beganAtMs) - beganAtMs),
      phases: phasesOf(start),
      ...(thrown === undefined ? {} : { problem: { code: thrown.code, detail: detailOf(thrown) } }),
    });
  }
}

function jobHead({ mark, sandboxId, task, taskKey, door, serves }: JobStory) {
  const { jobId, attempt } = mark;
  const served = serves === undefined ? {} : { serves };
  return { jobId, attempt, sandboxId, image: task.image, ...served, taskKey, door };
}

function phasesOf({ beganAtMs, resolvedAtMs, admittedAtMs, phases }: StartStory): {
  resolveMs?: number;
  admitMs?: number;
  createMs?: number;
  startMs?: number;
  readyMs?: number;
} {
  return {
    ...(resolvedAtMs === undefined ? {} : { resolveMs: round(resolvedAtMs - beganAtMs) }),
    ...(resolvedAtMs === undefined || admittedAtMs === undefined
      ? {}
      : { admitMs: round(admittedAtMs - resolvedAtMs) }),
    ...phases,
  };
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
