import type { WorkerSandbox, WorkerSpec } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { systemClock } from "../../../std/index.ts";
import { refuseMissingCards } from "../cards.ts";
import type { Cgroup } from "../cgroup/cgroup.ts";
import { processJob } from "../job/process-job.ts";
import { hasBegun } from "../job/start-job.ts";
import { processesOfWorker, workerMark } from "../process-table.ts";
import { refuseClass } from "../refusals.ts";
import type { LaunchedTask } from "../task/launch.ts";
import { BEGUN, BEGUN_FD, launchDirectly } from "../task/launch.ts";
import type { PlaceWish } from "../task/place.ts";
import { giveBackCgroup, limitsOf, Place } from "../task/place.ts";
import type { RunningTask } from "../task/running-task.ts";
import { settleIn } from "../task/settle-in.ts";
import { findTool, taskPath } from "../tools.ts";
import { OOM_SCORE } from "../walls/limits.ts";
import type { ProcessWorld } from "../world.ts";
import { LOOPBACK } from "../world.ts";
import { findProgram } from "./worker-program.ts";

/** Processes and threads of one worker: it has a thread for every request, and its libraries have theirs. */
const MOST_PROCESSES = 4096;

/**
 * Joins the cgroups, says so, becomes the worker: `exec` all along, so that it stays a direct child. `$@` is the files to join,
 * `--`, the command. Exit code 125 means that a cgroup could not be joined.
 */
const BEGIN_SCRIPT = `
while [ "$1" != -- ]; do echo $$ >"$1" || exit 125; shift; done; shift
ulimit -c 0
echo ${OOM_SCORE} 2>/dev/null >/proc/self/oom_score_adj
echo ${BEGUN} >&${BEGUN_FD}; exec ${BEGUN_FD}>&-; exec "$@"`;

/** As `WorkerDriver.startWorker` promises. */
export async function startWorker(
  world: ProcessWorld,
  spec: WorkerSpec,
  signal: AbortSignal,
): Promise<WorkerSandbox> {
  signal.throwIfAborted();
  refuseWorker(spec);
  const { sandboxId, mark, task, gpuIds } = spec;
  const environment = environmentOf(spec);
  const port = await world.ports.take();
  const place = new Place();
  place.onRelease(() => world.ports.giveBack(port));
  const { launched, running, digest } = await spawnIn(place, world, spec, environment, port);
  const startedAtMs = systemClock.wallMs();
  try {
    await hasBegun(launched, spec, signal);
  } catch (error) {
    await running.stop(0);
    throw error;
  }
  const tidy = (): Promise<void> => Promise.resolve();
  const job = processJob(
    { sandboxId, mark, task, gpuIds, imageDigest: digest },
    { launched, running, startedAtMs, tidy },
  );
  return { ...job, endpoint: { host: LOOPBACK, port }, endpointOf: () => undefined };
}

function refuseWorker({ task, user, binds, gpuIds }: WorkerSpec): void {
  refuseClass(task);
  refuseMissingCards({ task, gpuIds });
  const refuse = (reason: string): ExecutorError =>
    new ExecutorError("SANDBOX_START_FAILED", { image: task.image, reason });
  if (task.network !== "default") {
    const reason = "workers of the process driver are on the host's network";
    throw new ExecutorError("NETWORK_UNAVAILABLE", { network: task.network, offered: [], reason });
  }
  if (user !== undefined)
    throw refuse(`workers of the process driver run as the daemon's own user; "${user}" cannot be asked for`);
  const moved = binds.find(({ source, target }) => source !== target);
  if (moved !== undefined)
    throw refuse(`workers of the process driver see ${moved.source} under its own name only`);
}

function environmentOf({ sandboxId, environment, gpuIds }: WorkerSpec): Readonly<Record<string, string>> {
  const { name, value } = workerMark(sandboxId);
  return {
    PATH: taskPath(),
    HOME: process.env["HOME"] ?? "/",
    LANG: "C.UTF-8",
    ...environment,
    // What its health check takes for a sign of GPUs is not said: only what programs go by.
    CUDA_VISIBLE_DEVICES: gpuIds.join(","),
    [name]: value,
  };
}

interface Spawned {
  readonly launched: LaunchedTask;
  readonly running: RunningTask;
  readonly digest: string;
}

/** After a rejection nothing is left. */
async function spawnIn(
  place: Place,
  world: ProcessWorld,
  spec: WorkerSpec,
  environment: Readonly<Record<string, string>>,
  port: number,
): Promise<Spawned> {
  const { sandboxId, task } = spec;
  const wish = { sandboxId, task, processes: spec.pidsLimit ?? MOST_PROCESSES, mode: "job" } as const;
  try {
    const [asked = "", ...rest] = spec.command(`${LOOPBACK}:${port}`);
    const { path, digest } = await findProgram(asked, environment["PATH"] ?? "");
    const cgroup = makeCgroup(world, wish);
    giveBackCgroup(place, cgroup);
    const [shell = "/bin/sh", setpriv] = [findTool("sh"), findTool("setpriv")];
    // It ends with the daemon, however that ends; what it has started is found by the next life.
    const tie = setpriv === undefined ? [] : [setpriv, "--pdeathsig=KILL", "--"];
    const join = [shell, "-c", BEGIN_SCRIPT, "hearth", ...(cgroup?.joinFiles ?? []), "--"];
    const launched = await launchDirectly({
      argv: [...join, ...tie, path, ...rest],
      folder: process.cwd(),
      environment,
    });
    const settling = { cgroup, strays: () => processesOfWorker(sandboxId) };
    const { running } = await settleIn(world, wish, settling, place, launched);
    return { launched, running, digest };
  } catch (error) {
    await place.release();
    throw error;
  }
}

/** Its own group, where there are such; workers are never frozen. @throws {@link ExecutorError} ENGINE_FAILED. */
function makeCgroup({ cgroups }: ProcessWorld, wish: PlaceWish): Cgroup | undefined {
  try {
    return cgroups?.create(wish.sandboxId, limitsOf(wish), false);
  } catch (error) {
    throw new ExecutorError("ENGINE_FAILED", { reason: "its cgroup could not be made" }, { cause: error });
  }
}
