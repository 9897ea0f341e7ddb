import type { Endpoint, WorkerSandbox, WorkerSpec } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { workerBody } from "../container/body.ts";
import { refuseMissingCards } from "../container/gpu-request.ts";
import { workerContainerName } from "../container/name.ts";
import type { NetworkLease } from "../container/network-lease.ts";
import { workerMounts } from "../container/work-mount.ts";
import { jobParts } from "../job/job-parts.ts";
import type { JobMaking } from "../job/start-job.ts";
import { startInNetwork } from "../job/start-job.ts";
import type { World } from "../world.ts";
import { DockerWorker } from "./docker-worker.ts";
import type { Ulimit } from "./worker-limits.ts";

/** As `WorkerDriver.startWorker` promises. */
export async function startWorker(
  world: World,
  spec: WorkerSpec,
  signal: AbortSignal,
): Promise<WorkerSandbox> {
  signal.throwIfAborted();
  const { image, task } = spec;
  if (image === undefined)
    throw new ExecutorError("SANDBOX_START_FAILED", { image: task.image, reason: "it has no image" });
  workerMounts(spec); // refuses before anything is made
  refuseMissingCards(spec);
  const { engine, owner } = world;
  const policy = world.rules.resolve(task.network);
  const plan = await world.classes.plan(task, signal);
  const making = (ulimits: readonly Ulimit[]): JobMaking<WorkerSandbox> => ({
    spec,
    imageDigest: image.digest,
    name: workerContainerName(spec),
    body: (place, options) => workerBody({ ...spec, image }, owner, place, options, ulimits),
    make: async (own, lease) => {
      const endpoint = await endpointOf(world, own.containerId, lease);
      // A function's network serves nobody after it: what it has said to others there is not known.
      const onRemoved = (): void => own.onRemoved(false);
      const parts = jobParts(world, { ...spec, workDir: undefined }, { ...own, onRemoved });
      return new DockerWorker(engine, parts, endpoint);
    },
  });
  const { ulimits } = world.workerLimits;
  try {
    return await startInNetwork(world, making(ulimits), policy, plan, signal);
  } catch (error) {
    if (signal.aborted || !world.workerLimits.blames(ulimits, error)) throw error;
  }
  return await startInNetwork(world, making(world.workerLimits.ulimits), policy, plan, signal);
}

async function endpointOf(world: World, containerId: string, lease: NetworkLease): Promise<Endpoint> {
  const { sandbox, network } = lease;
  if (sandbox !== undefined) return sandbox.endpoint;
  if (network !== undefined) return await world.maker.endpointOf(containerId, network);
  throw new ExecutorError("ENGINE_FAILED", { reason: "its network is gone" });
}
