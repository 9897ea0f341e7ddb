import type {
  CallStory,
  EngineVerb,
  ErrorCode,
  IsolationClass,
  JobEnd,
  JobStory,
  Observer,
  RunPlacement,
  SandboxChange,
  StartStory,
  StopCause,
  TaskKey,
} from "../../core/index.ts";
import {
  CALL_ENDS,
  DOOR_NAMES,
  ENGINE_VERBS,
  ERRORS,
  ExecutorError,
  ISOLATION_CLASSES,
  JOB_ENDS,
  STOP_CAUSES,
} from "../../core/index.ts";
import type { Sample } from "./registry.ts";
import { Counts, Durations } from "./series.ts";

const CODES = Object.keys(ERRORS) as ErrorCode[];
const START_KINDS = ["warm", "thawed", "cold"] as const satisfies readonly RunPlacement["start"][];
const PHASES = ["resolve", "pull", "admit", "create", "start", "ready", "first_byte"] as const;
const JOB_PHASES = ["room", "image", "start"] as const;
const RESULTS = ["ok", "failed", "refused", "unwanted"] as const;
const REACHED = [...ISOLATION_CLASSES, "none"] as const satisfies readonly (IsolationClass | "none")[];
/** Tasks whose last sandbox ended badly are remembered for the count of restarts: so many at most. */
const MOST_BROKEN_TASKS = 1000;

const DOOR_AT = places(DOOR_NAMES);
const REACHED_AT = places(REACHED);
const END_AT = places(CALL_ENDS);
const JOB_END_AT = places(JOB_ENDS);
/** In the order of their counts. */
const CALL_LABELS = DOOR_NAMES.flatMap((door) =>
  REACHED.flatMap((isolation) => CALL_ENDS.map((outcome) => ({ door, isolation, outcome }))),
);

/** Counts what the engine tells, in plain numbers; a warm call costs a few additions. */
export class EngineCounters implements Observer {
  /** By door, then class, then end. */
  readonly #calls = new Float64Array(DOOR_NAMES.length * REACHED.length * CALL_ENDS.length);
  readonly #bytesIn = new Float64Array(DOOR_NAMES.length);
  readonly #bytesOut = new Float64Array(DOOR_NAMES.length);
  readonly callErrors = new Counts<ErrorCode>("code", CODES);
  readonly callStarts = new Counts("start", START_KINDS);
  readonly callDurations = new Durations("hearth_call_duration_seconds", "start", [...START_KINDS, "none"]);
  readonly queueDurations = new Durations("hearth_call_queue_duration_seconds", "start", START_KINDS);
  readonly phases = new Durations("hearth_start_phase_duration_seconds", "phase", PHASES);
  readonly starts = new Counts("result", RESULTS);
  readonly startErrors = new Counts<ErrorCode>("code", CODES);
  readonly stops = new Counts<StopCause>("cause", STOP_CAUSES);
  readonly engineCalls = new Counts<EngineVerb>("verb", ENGINE_VERBS);
  readonly engineErrors = new Counts<EngineVerb>("verb", ENGINE_VERBS);
  readonly engineDurations = new Durations("hearth_engine_call_duration_seconds", "verb", ENGINE_VERBS);
  /** By door, then end. */
  readonly #jobs = new Float64Array(DOOR_NAMES.length * JOB_ENDS.length);
  readonly jobDurations = new Durations<JobEnd>("hearth_job_duration_seconds", "cause", JOB_ENDS);
  readonly jobStarts = new Durations("hearth_job_start_duration_seconds", "phase", JOB_PHASES);
  readonly #broken = new Set<TaskKey>();
  restarts = 0;
  freezes = 0;
  thaws = 0;

  callQueued(): void {
    // How many wait is read from the executor.
  }

  callPlaced({ placement }: CallStory): void {
    if (placement !== undefined) this.queueDurations.observe(placement.start, placement.waitedMs);
  }

  callEnded(call: CallStory): void {
    const { placement, end = "failed", endedAtMs = call.acceptedAtMs, error } = call;
    const door = DOOR_AT[call.door];
    const at =
      (door * REACHED.length + REACHED_AT[placement?.isolation ?? "none"]) * CALL_ENDS.length + END_AT[end];
    this.#calls[at] = (this.#calls[at] as number) + 1;
    this.#bytesIn[door] = (this.#bytesIn[door] as number) + call.bytesIn;
    this.#bytesOut[door] = (this.#bytesOut[door] as number) + call.bytesOut;
    this.callDurations.observe(placement?.start ?? "none", endedAtMs - call.acceptedAtMs);
    if (placement !== undefined) this.callStarts.add(placement.start);
    if (error !== undefined) this.callErrors.add(ExecutorError.from(error).code);
    if (placement?.start === "cold") this.#firstByte(call);
  }

  startEnded(start: StartStory): void {
    const { beganAtMs, resolvedAtMs, admittedAtMs, phases, error } = start;
    if (resolvedAtMs !== undefined) {
      this.phases.observe(start.wasPulled ? "pull" : "resolve", resolvedAtMs - beganAtMs);
      if (admittedAtMs !== undefined) this.phases.observe("admit", admittedAtMs - resolvedAtMs);
    }
    if (phases !== undefined) {
      this.phases.observe("create", phases.createMs);
      this.phases.observe("start", phases.startMs);
      this.phases.observe("ready", phases.readyMs);
    }
    this.#countResult(start, error);
  }

  sandboxChanged({ from, to, cause, taskKey }: SandboxChange): void {
    if (to === "gone" && cause !== undefined) {
      this.stops.add(cause);
      if (isBad(cause)) this.#remember(taskKey);
    }
    if (from === "freezing" && to === "frozen") this.freezes += 1;
    if (from === "thawing" && to === "hot") this.thaws += 1;
  }

  jobChanged(): void {
    // How many there are is read from the executor.
  }

  jobEnded(job: JobStory): void {
    const { acceptedAtMs, beganAtMs, resolvedAtMs, startedAtMs, endedAtMs = acceptedAtMs } = job;
    const end = job.end ?? "lost";
    const at = DOOR_AT[job.door] * JOB_ENDS.length + JOB_END_AT[end];
    this.#jobs[at] = (this.#jobs[at] as number) + 1;
    this.jobDurations.observe(end, endedAtMs - (startedAtMs ?? acceptedAtMs));
    if (beganAtMs === undefined) return;
    this.jobStarts.observe("room", job.heldSinceMs - acceptedAtMs);
    if (resolvedAtMs === undefined) return;
    this.jobStarts.observe("image", resolvedAtMs - beganAtMs);
    if (startedAtMs !== undefined) this.jobStarts.observe("start", startedAtMs - resolvedAtMs);
  }

  jobs(): Sample[] {
    return DOOR_NAMES.flatMap((door) =>
      JOB_ENDS.map((cause) => ({
        labels: { door, cause },
        value: this.#jobs[DOOR_AT[door] * JOB_ENDS.length + JOB_END_AT[cause]] as number,
      })),
    );
  }

  executorChanged(): void {
    // Its state is read from the executor.
  }

  engineCalled(verb: EngineVerb, tookMs: number, error: ErrorCode | undefined): void {
    this.engineCalls.add(verb);
    this.engineDurations.observe(verb, tookMs);
    // What its caller gave up is no fault of the engine's.
    if (error !== undefined && error !== "CALL_CANCELLED") this.engineErrors.add(verb);
  }

  calls(): Sample[] {
    return CALL_LABELS.map((labels, at) => ({ labels, value: this.#calls[at] as number }));
  }

  requestBytes(): Sample[] {
    return DOOR_NAMES.map((door) => ({ labels: { door }, value: this.#bytesIn[DOOR_AT[door]] as number }));
  }

  answerBytes(): Sample[] {
    return DOOR_NAMES.map((door) => ({ labels: { door }, value: this.#bytesOut[DOOR_AT[door]] as number }));
  }

  #firstByte({ placedAtMs, headAtMs }: CallStory): void {
    if (placedAtMs !== undefined && headAtMs !== undefined)
      this.phases.observe("first_byte", headAtMs - placedAtMs);
  }

  #countResult({ isUnwanted, taskKey }: StartStory, error: Error | undefined): void {
    if (error === undefined) {
      this.starts.add("ok");
      if (this.#broken.delete(taskKey)) this.restarts += 1;
      return;
    }
    if (isUnwanted) {
      this.starts.add("unwanted");
      return;
    }
    const { code, spec } = ExecutorError.from(error);
    this.startErrors.add(code);
    // A name that nothing has is its caller's mistake; whoever is called at night for failing starts must not hear of it.
    this.starts.add(spec.fault === "caller" ? "refused" : "failed");
    if (spec.fault !== "caller") this.#remember(taskKey);
  }

  #remember(taskKey: TaskKey): void {
    if (this.#broken.size < MOST_BROKEN_TASKS) this.#broken.add(taskKey);
  }
}

function isBad(cause: StopCause): boolean {
  return cause === "died" || cause === "failed" || cause === "overdue";
}

function places<K extends string>(keys: readonly K[]): Readonly<Record<K, number>> {
  return Object.fromEntries(keys.map((key, at) => [key, at])) as Record<K, number>;
}
