import type { Queue } from "../../contract/v1/queue.ts";
import type { FleetHost, SourceState } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { LeftoverJob } from "../../engine/jobs/jobs.ts";
import { pause, Scope } from "../../std/index.ts";
import type { JobDesk } from "./desk.ts";
import type { StreamDoorOptions } from "./door-options.ts";
import { describeHost, keepBeating } from "./fleet-beat.ts";
import { JobShift } from "./job-shift.ts";
import { keepLeases } from "./leases.ts";
import { showQueue } from "./show-queue.ts";
import { Slots } from "./slots.ts";
import { terminate } from "./terminate.ts";
import { WorkFolders } from "./work-folders.ts";

/** How long the cloud may take to say whether this machine is being taken away. */
const PREEMPTED_MS = 2_000;
/** How long leaving the queue may take at the end. */
const LEAVE_MS = 5_000;
const REOPEN_MS = 5_000;
const NOT_YET = "it has not answered since the start";

/** The door through which jobs come. It opens behind the caller's back, and keeps trying, while the queue or the API is away. */
export interface StreamDoor extends AsyncDisposable {
  /** Whether it takes jobs now, and if not, why. */
  readonly trouble: string | undefined;
  view(): Queue;
  /** Every host that shares the queue. @throws {@link ExecutorError} QUEUE_UNAVAILABLE. */
  hosts(signal: AbortSignal): Promise<readonly FleetHost[]>;
  /** The queue, once it is open. @throws {@link ExecutorError} QUEUE_UNAVAILABLE before that. */
  source(): JobDesk["source"];
  /**
   * Takes no more jobs, hands back at once what has not started, and resolves when every job here is over. What ends the
   * running ones is the executor's drain.
   */
  drain(): Promise<void>;
}

/** What the door is made of while it opens and while it is open. */
interface DoorState {
  readonly options: StreamDoorOptions;
  readonly scope: Scope;
  readonly leftovers: Map<string, LeftoverJob>;
  /** Leases are kept until the very last job is over, also while the door closes; so is its place on the board. */
  readonly heart: AbortController;
  shift: JobShift | undefined;
  stopReason: "interrupted" | "preempted";
}

/**
 * Opens the door and returns at once. Faults of configuration have been found before; whatever else is missing is waited for.
 */
export function openStreamDoor(options: StreamDoorOptions): StreamDoor {
  const state: DoorState = {
    options,
    scope: new Scope(),
    leftovers: new Map(options.executor.jobs.leftovers().map((job) => [job.mark.jobId, job])),
    heart: new AbortController(),
    shift: undefined,
    stopReason: "interrupted",
  };
  state.scope.spawn(async (signal) => await takeJobs(state, signal));
  beat(state);
  let draining: Promise<void> | undefined;
  return {
    get trouble() {
      const source = state.shift?.desk.source;
      return source === undefined ? NOT_YET : troubleOf(source.state);
    },
    view: () => showQueue(options, state.shift),
    hosts: async (signal) => (await options.board?.hosts(signal)) ?? [],
    source() {
      if (state.shift !== undefined) return state.shift.desk.source;
      throw new ExecutorError("QUEUE_UNAVAILABLE", { reason: NOT_YET });
    },
    drain() {
      draining ??= drain(state);
      return draining;
    },
    async [Symbol.asyncDispose]() {
      state.heart.abort();
      await state.scope[Symbol.asyncDispose]();
    },
  };
}

/** Opens the queue, however long that takes, and takes jobs from it until the end. */
async function takeJobs(state: DoorState, signal: AbortSignal): Promise<void> {
  const { options, scope, leftovers, heart } = state;
  const { settings, sharedDir, ownerId } = options;
  const folders = new WorkFolders(sharedDir, ownerId, settings.workingDir);
  await sweep(options, folders, new Set(leftovers.keys()));
  const { registration, source } = await openSource(options, signal);
  scope.use(source);
  const slots = new Slots(settings.concurrency);
  const stopReason = (): DoorState["stopReason"] => state.stopReason;
  const desk = { options, source, registration, folders, slots, leftovers, stopReason };
  const shift = new JobShift(desk);
  state.shift = shift;
  scope.spawn(async () => await keepLeases(desk, () => shift.held(), heart.signal));
  scope.spawn(async (bounded) => await shift.reapUnclaimed(bounded));
  await shift.claimAll(signal);
}

/** First the queue, then the registration, so that no API counts a host that cannot work. */
async function openSource(
  { queue, register, clock, log }: StreamDoorOptions,
  signal: AbortSignal,
): Promise<Pick<JobDesk, "registration" | "source">> {
  for (;;) {
    try {
      signal.throwIfAborted();
      await queue.ready(signal);
      signal.throwIfAborted();
      const registration = await register(signal);
      return { registration, source: await queue.open(registration, signal) };
    } catch (error) {
      signal.throwIfAborted();
      log.log("error", "executer.unregistered", { error });
      await pause(clock, REOPEN_MS, signal);
    }
  }
}

function beat(state: DoorState): void {
  const { options, scope, heart } = state;
  const { board, clock } = options;
  if (board === undefined) return;
  const startedAtMs = clock.wallMs();
  const none = { running: 0, waiting: 0 };
  const describe = (): FleetHost => describeHost(options, startedAtMs, state.shift?.counts() ?? none);
  scope.spawn(async () => await keepBeating(board, options, describe, heart.signal));
}

async function drain(state: DoorState): Promise<void> {
  const { options, shift } = state;
  if (shift === undefined) {
    state.scope.stop();
    return;
  }
  shift.drain();
  const isPreempted = await options.isPreempted(AbortSignal.timeout(PREEMPTED_MS)).catch(() => false);
  if (isPreempted) state.stopReason = "preempted";
  await shift.quiet();
  await terminate(shift.desk, shift.hasToldEnd, AbortSignal.timeout(LEAVE_MS));
}

async function sweep(
  { log }: StreamDoorOptions,
  folders: WorkFolders,
  keep: ReadonlySet<string>,
): Promise<void> {
  try {
    const jobIds = await folders.sweep(keep);
    if (jobIds.length > 0)
      log.log("info", "work-folder.swept", { jobIds: jobIds.slice(0, 20), count: jobIds.length });
  } catch (error) {
    log.log("warn", "work-folder.kept", { error });
  }
}

function troubleOf(state: SourceState): string | undefined {
  switch (state.type) {
    case "connected":
      return undefined;
    case "away":
      return state.reason;
    case "broken":
      return `${state.stream}: ${state.reason}`;
    default:
      return undefined;
  }
}
