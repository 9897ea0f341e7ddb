import type { ErrorCode } from "../errors.ts";
import type { RunId, SandboxId, TaskKey } from "../ids.ts";
import type { JobState } from "../jobs/job-life.ts";
import type { AttemptDoor } from "../receipts/entry.ts";
import type { LifeState, StopCause } from "../sandbox/life.ts";
import type { DoorName } from "../settings.ts";
import type { IsolationClass } from "../task/isolation.ts";
import type { TaskSpec } from "../task/task-spec.ts";
import type { CallRequest } from "./channel.ts";
import type { StartPhases } from "./driver.ts";
import type { JobStory } from "./job-story.ts";
import type { RunPlacement } from "./records.ts";
import type { SandboxUse } from "./sandbox-use.ts";

/** `answered`: the task's server gave a whole answer, whatever its status; `cancelled`: the call was given up with its caller. */
export const CALL_ENDS = ["answered", "failed", "cancelled"] as const;
export type CallEnd = (typeof CALL_ENDS)[number];

/** What the engine asks of the driver. */
export const ENGINE_VERBS = [
  "resolve",
  "start",
  "stop",
  "freeze",
  "thaw",
  "usage",
  "logs",
  "leftovers",
  "health",
  "probe",
] as const;
export type EngineVerb = (typeof ENGINE_VERBS)[number];

/** A call's place in its caller's trace: what is passed on to the task, whose own spans hang below ours. */
export interface CallTrace {
  /** W3C Trace Context, with our span as the parent. */
  readonly traceparent: string;
  /** As the caller sent it. */
  readonly tracestate: string | undefined;
}

/** Follows calls over the hosts that they pass. */
export interface Tracer {
  /** A call was accepted. Its end is told to the observer that belongs to this tracer, with what comes back here. */
  begin(headers: CallRequest["headers"], acceptedAtMs: number): CallTrace;
}

/**
 * One call, as far as it has come. The engine hands out the thing itself, so that telling costs nothing: it is only valid
 * while it is being told, and whoever wants to keep something copies it. Times are the clock's milliseconds.
 */
export interface CallStory {
  readonly door: DoorName;
  /** What its receipt calls the way in. */
  readonly recordedAs: AttemptDoor;
  /** What the answer's `Hearth-Run-Id` says; `undefined` for a door that has no such thing. */
  readonly runId: RunId | undefined;
  readonly trace: CallTrace | undefined;
  readonly task: TaskSpec;
  readonly taskKey: TaskKey;
  readonly acceptedAtMs: number;
  /** Where it ran; `undefined` until it has a slot. `waitedMs` in it is from the first try, if there were several. */
  readonly placement: RunPlacement | undefined;
  /** How its sandbox was started; `undefined` before its slot, and for one that was taken over from an earlier life. */
  readonly start: StartStory | undefined;
  /** The cards that its sandbox held, by UUID; none before its slot. */
  readonly gpuIds: readonly string[];
  /** Tells what it used of its sandbox; `undefined` before its slot, and where nobody measures. */
  readonly use: SandboxUse | undefined;
  /** Whether no other call had a slot of its sandbox meanwhile. Valid once it has ended. */
  readonly wasAlone: boolean;
  /** When the request was handed to its task. */
  readonly placedAtMs: number | undefined;
  /** When the answer's head came. */
  readonly headAtMs: number | undefined;
  readonly endedAtMs: number | undefined;
  /** Of the request's body, as far as it was sent. */
  readonly bytesIn: number;
  /** Of the answer's body. */
  readonly bytesOut: number;
  /** Of the task's answer. */
  readonly status: number | undefined;
  /** `undefined` until it has ended. */
  readonly end: CallEnd | undefined;
  /** Why it failed. */
  readonly error: Error | undefined;
}

/** One start of a sandbox, as far as it has come. Times are the clock's milliseconds; a step not reached has none. */
export interface StartStory {
  readonly door: DoorName;
  readonly task: TaskSpec;
  readonly taskKey: TaskKey;
  readonly beganAtMs: number;
  /** Its image was found or pulled. */
  readonly resolvedAtMs: number | undefined;
  readonly wasPulled: boolean;
  readonly imageDigest: string | undefined;
  /** Its room was booked. */
  readonly admittedAtMs: number | undefined;
  /** Known from then on. */
  readonly sandboxId: SandboxId | undefined;
  readonly endedAtMs: number | undefined;
  /** As the driver measured them. */
  readonly phases: StartPhases | undefined;
  readonly isolation: IsolationClass | undefined;
  /** Why it failed; `undefined` while it goes on, and when it came through. */
  readonly error: Error | undefined;
  /** It was given up because nobody wanted it any more: its failure is nobody's fault. */
  readonly isUnwanted: boolean;
}

/** A sandbox went from one state to another. Taking and giving slots is no change. */
export interface SandboxChange {
  readonly sandboxId: SandboxId;
  readonly door: DoorName;
  readonly task: TaskSpec;
  readonly taskKey: TaskKey;
  /** The class reached; `undefined` before it is known. */
  readonly isolation: IsolationClass | undefined;
  /** `undefined` for one that is new. */
  readonly from: LifeState["type"] | undefined;
  readonly to: LifeState["type"];
  /** Why it ends. */
  readonly cause: StopCause | undefined;
  /** The sandbox that its room is for: of one that is evicted or frozen. */
  readonly forSandbox: SandboxId | undefined;
}

export type ObservedState = "running" | "pausing" | "paused" | "draining";

/**
 * Hears what the engine does, as it happens: for metrics, records, traces and whoever watches. Everything is told
 * synchronously, on the way of the call itself: a method must be quick, must not throw, and must not call back into the
 * engine. What can be read at any time (the books, the queue) is not told but read from the executor's view.
 */
export interface Observer {
  /** A call waits: for a slot, for room, or for its sandbox's start. A call that finds a warm slot is never told of here. */
  callQueued(call: CallStory): void;
  /** A call that waited has its slot. */
  callPlaced(call: CallStory): void;
  /** A call has ended, whichever way, exactly once; also one that was refused at once. */
  callEnded(call: CallStory): void;
  /** A start came through, or did not. */
  startEnded(start: StartStory): void;
  sandboxChanged(change: SandboxChange): void;
  /** A job went from one state to another; `undefined` for one that has just got its room. */
  jobChanged(job: JobStory, from: JobState | undefined): void;
  /** A job is over: its command has ended and its files are collected, or it was given up before. Once for each that had room. */
  jobEnded(job: JobStory): void;
  executorChanged(state: ObservedState): void;
  /** The driver was asked for something and has answered. A request that its caller gave up counts as `CALL_CANCELLED`. */
  engineCalled(verb: EngineVerb, tookMs: number, error: ErrorCode | undefined): void;
}

/** Hears nothing; also what an observer of a few things fills itself up with. */
export const NO_OBSERVER: Observer = {
  callQueued: () => undefined,
  callPlaced: () => undefined,
  callEnded: () => undefined,
  startEnded: () => undefined,
  sandboxChanged: () => undefined,
  jobChanged: () => undefined,
  jobEnded: () => undefined,
  executorChanged: () => undefined,
  engineCalled: () => undefined,
};

/** Tells several, in their order. */
export function joinObservers(observers: readonly Observer[]): Observer {
  const [only] = observers;
  if (only === undefined) return NO_OBSERVER;
  if (observers.length === 1) return only;
  return {
    callQueued: (call) => {
      for (const one of observers) one.callQueued(call);
    },
    callPlaced: (call) => {
      for (const one of observers) one.callPlaced(call);
    },
    callEnded: (call) => {
      for (const one of observers) one.callEnded(call);
    },
    startEnded: (start) => {
      for (const one of observers) one.startEnded(start);
    },
    sandboxChanged: (change) => {
      for (const one of observers) one.sandboxChanged(change);
    },
    jobChanged: (job, from) => {
      for (const one of observers) one.jobChanged(job, from);
    },
    jobEnded: (job) => {
      for (const one of observers) one.jobEnded(job);
    },
    executorChanged: (state) => {
      for (const one of observers) one.executorChanged(state);
    },
    engineCalled: (verb, tookMs, error) => {
      for (const one of observers) one.engineCalled(verb, tookMs, error);
    },
  };
}
