import type { SandboxId, TaskKey } from "../ids.ts";
import type { JobEnd, JobState } from "../jobs/job-life.ts";
import type { DoorName } from "../settings.ts";
import type { IsolationClass } from "../task/isolation.ts";
import type { TaskSpec } from "../task/task-spec.ts";
import type { SandboxUsage } from "./driver.ts";
import type { JobMark } from "./job-sandbox.ts";

/**
 * One job that has, or had, room here, as far as it has come. As with calls the engine hands out the thing itself: it is only
 * valid while it is being told. Times are the clock's milliseconds; a step not reached has none. Of a job that was taken over
 * from an earlier life the steps before that are not known: it was accepted when it started.
 */
export interface JobStory {
  readonly door: DoorName;
  readonly mark: JobMark;
  readonly task: TaskSpec;
  /** What a worker serves, as its door calls it; `undefined` of jobs, and where it is known by its image. */
  readonly serves: string | undefined;
  readonly taskKey: TaskKey;
  readonly sandboxId: SandboxId;
  readonly state: JobState;
  /** The class reached; `undefined` before its command runs. */
  readonly isolation: IsolationClass | undefined;
  /** The content that it runs; `undefined` before its image was found. */
  readonly imageDigest: string | undefined;
  /** Its cards, by UUID. */
  readonly gpuIds: readonly string[];
  /** It asked for room. */
  readonly acceptedAtMs: number;
  /** It got its room. */
  readonly heldSinceMs: number;
  /** Its start began: its files are in place. */
  readonly beganAtMs: number | undefined;
  /** Its image was found or pulled. */
  readonly resolvedAtMs: number | undefined;
  /** Its command runs. */
  readonly startedAtMs: number | undefined;
  /** Its command has ended, or it was given up before. */
  readonly endedAtMs: number | undefined;
  /** What it had used at its end; `undefined` before, and where that could not be read. */
  readonly usage: SandboxUsage | undefined;
  /** What its files came to that came in with it, and that went out. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** `undefined` until it has ended. */
  readonly end: JobEnd | undefined;
  /** Why, if it is not done. */
  readonly error: Error | undefined;
}
