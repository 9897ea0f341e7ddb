import type { Queue } from "../../contract/v1/queue.ts";
import type { FleetHost, SourceState } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { LeftoverJob } from "../../engine/jobs/jobs.ts";
import { pause, Scope } from "../../std/index.ts";
import type { JobDesk } from "./desk.ts";
import { JobDisk } from "./disk/job-disk.ts";
import type { StreamDoorOptions } from "./door-options.ts";
import { describeHost, keepBeating } from "./fleet-beat.ts";
import { JobShift } from "./job-shift.ts";
import { keepLeases } from "./leases.ts";
import { warnOfUnfit } from "./leave-to-others.ts";
import { showQueue } from "./show-queue.ts";
import { Slots } from "./slots.ts";
import { sweepMarkers } from "./sweep-markers.ts";
import { terminate } from "./terminate.ts";
import type { Termination } from "./verdict.ts";
import { failedBy } from "./verdict.ts";
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
   *
   * @param failure what the daemon ends by, where nobody asked it to end.
   */
  drain(failure?: unknown): Promise<void>;
}

/** What the door is made of while it opens and while it is open. */
interface DoorState {
  readonly options: StreamDoorOptions;
  readonly scope: Scope;
  readonly leftovers: Map<string, LeftoverJob>;
  /** Leases are kept until the very last job is over, also while the door closes; so is its place on the board. */
  readonly heart: AbortController;
  shift: JobShift | undefined;
  /** What it waits for until it is open. */
  waitsFor: string;
  termination: Termination;
  /** Whether somebody wants the door's end. */
  isEnding: boolean;
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
    waitsFor: NOT_YET,
    termination: { reason: "interrupted", detail: null },
    isEnding: false,
  };
  tellFailure(state);
  state.scope.spawn(async (signal) => await takeJobs(state, signal));
  beat(state);
  let draining: Promise<void> | undefined;
  return {
    get trouble() {
      const source = state.shift?.desk.source;
      return source === undefined ? state.waitsFor : troubleOf(source.state);
    },
    view: () => showQueue(options, state.shift, state.waitsFor),
    hosts: async (signal) => (await options.board?.hosts(signal)) ?? [],
    source() {
      if (state.shift !== undefined) return state.shift.desk.source;
      throw new ExecutorError("QUEUE_UNAVAILABLE", { reason: state.waitsFor });
    },
    drain(failure) {
      draining ??= drain(state, failure);
      return draining;
    },
    async [Symbol.asyncDispose]() {
      state.isEnding = true;
      state.heart.abort();
      await state.scope[Symbol.asyncDispose]();
    },
  };
}

/** A part that fails is a defect: the door takes no more jobs then, so whoever runs it is told to end. */
function tellFailure(state: DoorState): void {
  const { signal } = state.scope;
  signal.addEventListener(
    "abort",
    () => {
      if (state.isEnding) return;
      state.termination = failedBy(signal.reason);
      state.options.onFailure();
    },
    { once: true },
  );
}

/** Opens the queue, however long that takes, and takes jobs from it until the end. */
async function takeJobs(state: DoorState, signal: AbortSignal): Promise<void> {
  const { options, scope, leftovers, heart } = state;
  const { settings, sharedDir, ownerId } = options;
  const folders = new WorkFolders(sharedDir, ownerId, settings.workingDir);
  const disk = new JobDisk(sharedDir.localPath, settings.disk, options);
  await warnOfUnfit(options, disk);
  await disk.warnOfReserve();
  await sweep(options, folders, new Set(leftovers.keys()));
  // The daemon may have ended meanwhile: then nothing more begins.
  signal.throwIfAborted();
  scope.spawn(async (bounded) => await sweepMarkers(sharedDir.localPath, options.clock, bounded));
  const { registration, source } = await openSource(state, signal);
  scope.use(source);
  const slots = new Slots(settings.concurrency);
  scope.spawn(async () => await disk.watchAll(heart.signal));
  const termination = (): Termination => state.termination;
  const leftTypes = new Set<string>();
  const desk = { options, source, registration, folders, slots, disk, leftovers, leftTypes, termination };
  const shift = new JobShift(desk);
  state.shift = shift;
  scope.spawn(async () => await keepLeases(desk, () => shift.held(), heart.signal));
  scope.spawn(async (bounded) => await shift.reapUnclaimed(bounded));
  await shift.claimAll(signal);
}

/** First the queue, then the registration, so that no API counts a host that cannot work. */
async function openSource(
  state: DoorState,
  signal: AbortSignal,
): Promise<Pick<JobDesk, "registration" | "source">> {
  const { queue, register, clock, log } = state.options;
  for (;;) {
    try {
      signal.throwIfAborted();
      await queue.ready(signal, (reason) => {
        state.waitsFor = `${NOT_YET}: ${reason}`;
      });
      signal.throwIfAborted();
      state.waitsFor = "this host is being registered";
      const registration = await register(signal);
      return { registration, source: await queue.open(registration, signal) };
    } catch (error) {
      signal.throwIfAborted();
      state.waitsFor = `this host is not registered: ${ExecutorError.from(error).message}`;
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

async function drain(state: DoorState, failure: unknown): Promise<void> {
  const { options, shift } = state;
  state.isEnding = true;
  if (failure !== undefined && state.termination.reason !== "error") state.termination = failedBy(failure);
  if (shift === undefined) {
    state.scope.stop();
    return;
  }
  shift.drain();
  const isPreempted = await options.isPreempted(AbortSignal.timeout(PREEMPTED_MS)).catch(() => false);
  // A machine that is taken away as well changes nothing about what failed.
  if (isPreempted && state.termination.reason !== "error")
    state.termination = { reason: "preempted", detail: null };
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
