import type { JobSandbox, JobSandboxSpec } from "../../../core/index.ts";
import { ExecutorError, jobRefusal } from "../../../core/index.ts";
import { makeUsable, orAbort, systemClock, withDeadline } from "../../../std/index.ts";
import { findPinned } from "../folders/find-pinned.ts";
import type { FoundTask } from "../folders/task-folders.ts";
import { refuseWhatIsNotHere } from "../refusals.ts";
import type { LaunchedTask } from "../task/launch.ts";
import type { Program } from "../task/launch-in.ts";
import { launchIn } from "../task/launch-in.ts";
import type { Held } from "../task/place.ts";
import { makePlace, Place } from "../task/place.ts";
import type { RunningTask } from "../task/running-task.ts";
import { settleIn, settlingAt } from "../task/settle-in.ts";
import type { ProcessClass } from "../walls/process-class.ts";
import type { ProcessWorld } from "../world.ts";
import { MOST_PROCESSES } from "../world.ts";
import { jobCommand } from "./job-command.ts";
import { processJob } from "./process-job.ts";
import { giveFolder, refuseHidden, refuseMissing, takeFolderBack } from "./work-folder.ts";

/** From the process to its own program: a network entered, cgroups joined, a view made. */
const BEGIN_DEADLINE_MS = 10_000;
const TAIL_BYTES = 4096;

/** As `JobDriver.startJob` promises. */
export async function startJob(
  world: ProcessWorld,
  isolation: ProcessClass,
  spec: JobSandboxSpec,
  signal: AbortSignal,
): Promise<JobSandbox> {
  signal.throwIfAborted();
  refuseJob(world, spec);
  await isolation.prove(signal);
  const found = await findPinned(world, spec.task.image, spec.image, signal);
  refuseMissing(spec.workDir.localPath);
  signal.throwIfAborted();
  const place = new Place();
  const { launched, running, isGiven } = await spawnIn(place, world, spec, found);
  const startedAtMs = systemClock.wallMs();
  try {
    await hasBegun(launched, spec, signal);
  } catch (error) {
    await running.stop(0);
    throw error;
  }
  const { workDir, image } = spec;
  // A job of the daemon's own uid can lock its files against itself; whoever may give a folder away is kept from nothing.
  const tidy = async (): Promise<unknown> => isGiven || (await makeUsable(workDir.localPath));
  return processJob({ ...spec, imageDigest: image.digest }, { launched, running, startedAtMs, tidy });
}

function refuseJob(world: ProcessWorld, spec: JobSandboxSpec): void {
  const refusal = jobRefusal(spec);
  if (refusal !== undefined) throw refusal;
  refuseWhatIsNotHere(world, spec);
  if (spec.user === undefined) return;
  const reason = `the process driver gives each job a user of its own; "${spec.user}" cannot be asked for`;
  throw new ExecutorError("SANDBOX_START_FAILED", { image: spec.task.image, reason });
}

interface Spawned {
  readonly launched: LaunchedTask;
  readonly running: RunningTask;
  /** Whether the work folder is the job's own while it runs. */
  readonly isGiven: boolean;
}

/** After a rejection nothing is left but the work folder. */
async function spawnIn(
  place: Place,
  world: ProcessWorld,
  spec: JobSandboxSpec,
  found: FoundTask,
): Promise<Spawned> {
  const wish = { ...spec, processes: spec.pidsLimit ?? MOST_PROCESSES, mode: "job" } as const;
  try {
    const held = await makePlace(place, world, wish);
    await giveWorkFolder(place, world, spec, held);
    const launched = await launchIn(world, held, programOf(world, held, spec, found));
    const { running } = await settleIn(world, wish, settlingAt(world, held), place, launched);
    return { launched, running, isGiven: held.uid !== undefined };
  } catch (error) {
    await place.release();
    throw error;
  }
}

async function giveWorkFolder(
  place: Place,
  { confinement }: ProcessWorld,
  { workDir }: JobSandboxSpec,
  { uid }: Held,
): Promise<void> {
  if (uid === undefined) return;
  if (confinement.bubblewrap === undefined) await refuseHidden(workDir.localPath);
  place.onRelease(() => takeFolderBack(workDir.localPath));
  await giveFolder(workDir.localPath, uid);
}

function programOf(world: ProcessWorld, held: Held, spec: JobSandboxSpec, found: FoundTask): Program {
  const { workDir, gpuIds } = spec;
  return {
    folder: found.folder,
    ...jobCommand(world, spec, found, held.home),
    work: { source: workDir.localPath, target: workDir.target },
    gpuIds,
    startFolder: workDir.localPath,
  };
}

/** @throws {@link ExecutorError} SANDBOX_START_FAILED with what the steps before the job's own program said. */
export async function hasBegun(
  { begun, exited, drained, ring }: LaunchedTask,
  { task }: Pick<JobSandboxSpec, "task">,
  signal: AbortSignal,
): Promise<void> {
  const facts = { image: task.image, reason: `its sandbox was not made within ${BEGIN_DEADLINE_MS} ms` };
  const deadline = { ms: BEGIN_DEADLINE_MS, code: "SANDBOX_START_FAILED", facts, parent: signal } as const;
  await withDeadline(deadline, async (within) => {
    const isRunning = begun.then(() => true);
    // What a short job said is read with its end: a byte that came before that decides.
    const isOver = exited.then(() => drained).then(() => false);
    if (await orAbort(Promise.race([isRunning, isOver]), within)) return;
    const logTail = ring.tail(TAIL_BYTES).text;
    const reason = "its sandbox could not be made";
    throw new ExecutorError("SANDBOX_START_FAILED", { image: task.image, reason, logTail });
  });
}
