import type {
  JobSandboxSpec,
  ResolvedImage,
  SandboxSpec,
  TaskSpec,
  WorkerSpec,
} from "../../../core/index.ts";
import { TASK_PORT } from "../options.ts";
import { sgxRequest } from "../sgx/sgx-parts.ts";
import { entrypointOf } from "../worker/entrypoint.ts";
import type { Ulimit } from "../worker/worker-limits.ts";
import type { ContainerBody, HostBody, NetworkPlace } from "./container-body.ts";
import {
  endpointOf,
  exposedPorts,
  LOG_CONFIG,
  networkOf,
  PIDS_LIMIT,
  runtimeOf,
  securityOptions,
} from "./container-body.ts";
import { deviceRequests, visibleDevices, workerCards } from "./gpu-request.ts";
import type { Owner } from "./labels.ts";
import { baseLabels, jobLabels, sandboxLabels, workerLabels } from "./labels.ts";
import type { IsolationPlan } from "./plan-isolation.ts";
import { workerMounts, workMount } from "./work-mount.ts";

const OPEN_FILES_LIMIT = 1024;
/** A worker has a thread for every request, and its libraries have theirs. */
const WORKER_PIDS_LIMIT = 4096;
const GIBIBYTE = 1_073_741_824;
/** The least that engines accept. */
export const MIN_MEMORY_BYTES = 6 * 1_048_576;
export const MIN_CPU_MILLIS = 10;

export interface BodyOptions {
  /** The class that it reaches, and how. */
  readonly plan: IsolationPlan;
  readonly nowMs: number;
  readonly seccomp: string | undefined;
  /** Whether the engine has a first process that reaps what the task leaves behind. */
  readonly hasInit: boolean;
}

/** The body of a task's container: its image by content, its limits, and every hardening that is free (`reliability.md` 3.3). */
export function taskBody(
  spec: SandboxSpec,
  owner: Owner,
  place: NetworkPlace,
  options: BodyOptions,
): ContainerBody {
  return {
    Image: spec.image.digest,
    // The same variable that the process driver sets, so that a task folder runs on both.
    Env: [`PORT=${TASK_PORT}`, visibleDevices(spec.gpuIds)],
    Labels: { ...baseLabels(owner, "sandbox", options.nowMs), ...sandboxLabels(spec, options.plan) },
    Healthcheck: { Test: ["NONE"] },
    ...exposedPorts(place),
    HostConfig: {
      ...hardenedHost(spec, PIDS_LIMIT, place, options),
      ...sgxRequest(options.plan.sgx),
    },
    ...endpointOf(place),
  };
}

/** What everything is held to that is not ours: tasks that serve calls, and jobs. */
function hardenedHost(
  { task, gpuIds }: { readonly task: TaskSpec; readonly gpuIds: readonly string[] },
  pidsLimit: number,
  place: NetworkPlace,
  options: BodyOptions,
): HostBody {
  const { cpuMillis, memoryBytes } = task.resources;
  return {
    ...networkOf(place),
    ...runtimeOf(options.plan),
    ...deviceRequests(gpuIds),
    CapDrop: ["ALL"],
    SecurityOpt: securityOptions(options.seccomp),
    NanoCpus: cpuMillis * 1_000_000,
    Memory: memoryBytes,
    MemorySwap: memoryBytes,
    PidsLimit: pidsLimit,
    Ulimits: [
      { Name: "nofile", Soft: OPEN_FILES_LIMIT, Hard: OPEN_FILES_LIMIT },
      { Name: "core", Soft: 0, Hard: 0 },
    ],
    Init: options.hasInit,
    ReadonlyRootfs: false,
    RestartPolicy: { Name: "no" },
    AutoRemove: false,
    LogConfig: LOG_CONFIG,
  };
}

/**
 * The body of a job's container: the same, with a command after the image's entrypoint, and one folder of the host that it may
 * write to and works in.
 *
 * @throws {@link ExecutorError} SANDBOX_START_FAILED for a job that none of this can be made of.
 */
export function jobBody(
  spec: JobSandboxSpec,
  owner: Owner,
  place: NetworkPlace,
  options: BodyOptions,
): ContainerBody {
  const mount = workMount(spec);
  // The last word on the cards is ours.
  const { NVIDIA_VISIBLE_DEVICES: _, ...environment } = spec.environment;
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return {
    Image: spec.image.digest,
    Cmd: spec.command,
    WorkingDir: mount.Target,
    ...(spec.user === undefined ? {} : { User: spec.user }),
    Env: [...variables, visibleDevices(spec.gpuIds)],
    Labels: { ...baseLabels(owner, "job", options.nowMs), ...jobLabels(spec, options.plan) },
    Healthcheck: { Test: ["NONE"] },
    HostConfig: {
      ...hardenedHost(spec, spec.pidsLimit ?? PIDS_LIMIT, place, options),
      Mounts: [mount],
    },
    ...endpointOf(place),
  };
}

/**
 * The body of a worker's container: hardened as all else, for a program of the operator's image that is called at the task's
 * port, with the folders that the operator lets workers see.
 *
 * @throws {@link ExecutorError} SANDBOX_START_FAILED for a worker that none of this can be made of.
 */
export function workerBody(
  spec: WorkerSpec & { readonly image: ResolvedImage },
  owner: Owner,
  place: NetworkPlace,
  options: BodyOptions,
  ulimits: readonly Ulimit[],
): ContainerBody {
  // The last word on the cards is ours.
  const { NVIDIA_VISIBLE_DEVICES: _, ...environment } = spec.environment;
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return {
    Image: spec.image.digest,
    ...entrypointOf(spec),
    ...(spec.user === undefined ? {} : { User: spec.user }),
    Env: [...variables, ...workerCards(spec.gpuIds)],
    Labels: {
      ...spec.labels,
      ...baseLabels(owner, "worker", options.nowMs),
      ...workerLabels(spec, options.plan),
    },
    Healthcheck: { Test: ["NONE"] },
    ...exposedPorts(place),
    HostConfig: {
      ...hardenedHost(spec, spec.pidsLimit ?? WORKER_PIDS_LIMIT, place, options),
      Ulimits: ulimits,
      ShmSize: GIBIBYTE,
      Mounts: workerMounts(spec),
    },
    ...endpointOf(place),
  };
}
