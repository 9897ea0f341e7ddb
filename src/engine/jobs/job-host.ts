import type { DoorName, ExecutorError, JobState, TaskSpec } from "../../core/index.ts";
import type { EngineContext } from "../context.ts";
import type { HeldJob } from "./held-job.ts";

/** What the jobs of one executor share. */
export interface JobHost {
  readonly engine: EngineContext;
  /** Why no job may start now; `undefined` when it may. */
  refusal(): ExecutorError | undefined;
  /** Why this host can never run it. */
  check(task: TaskSpec, door: DoorName): ExecutorError | undefined;
  /** It went from one state to another; one that is `gone` holds nothing any more. */
  changed(job: HeldJob, from: JobState | undefined): void;
  /** It has nothing to do now, until it is told otherwise. */
  rests(job: HeldJob): void;
  /** It has ended; its sandbox may still be there. Once for each. */
  over(job: HeldJob): void;
}
