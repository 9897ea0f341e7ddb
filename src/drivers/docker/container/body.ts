import type {
  JobSandboxSpec,
  ResolvedImage,
  SandboxSpec,
  TaskSpec,
  WorkerSpec,
} from "../../../core/index.ts";
import { PROBE_CPU_MILLIS, PROBE_MEMORY_BYTES } from "../../../std/index.ts";
import type { RuntimeName } from "../isolation/configured-class.ts";
import { TASK_PORT } from "../options.ts";
import type { AesmMount, SgxDevice } from "../sgx/sgx-parts.ts";
import { sgxRequest } from "../sgx/sgx-parts.ts";
import type { DeviceRequest } from "./gpu-request.ts";
import { deviceRequests, visibleDevices, workerCards } from "./gpu-request.ts";
import type { Labels, Owner } from "./labels.ts";
import { baseLabels, jobLabels, sandboxLabels, workerLabels } from "./labels.ts";
import type { IsolationPlan } from "./plan-isolation.ts";
import type { HelperMount, WorkerMount, WorkMount } from "./work-mount.ts";
import { helperMount, workerMounts, workMount } from "./work-mount.ts";

/**
 * All that a container of ours may be made of. The type is closed: there is no field for a foreign namespace or a privilege, and for
 * one capability only, which none but our own program gets, so no input can ask for one; one device, SGX's; and one mount at most:
 * SGX's, or a job's work folder; a worker has those of the operator's configuration. All of these are by the operator's own paths.
 */
export interface ContainerBody {
  readonly Image: string;
  readonly Entrypoint?: readonly string[];
  /** A job's; the image's entrypoint stays before it. */
  readonly Cmd?: readonly string[];
  readonly WorkingDir?: WorkMount["Target"];
  /** That of the test sandbox, or the one that the operator has set for jobs of a kind; all else runs as its image says. */
  readonly User?: string;
  readonly Env: readonly string[];
  readonly Labels: Labels;
  /** What an engine that stops sends first. */
  readonly StopSignal?: "SIGKILL";
  /** An image's own health check would start a process in the sandbox every few seconds. */
  readonly Healthcheck: { readonly Test: readonly ["NONE"] };
  readonly ExposedPorts?: Readonly<Record<string, Readonly<Record<string, never>>>>;
  readonly HostConfig: HostBody;
  readonly NetworkingConfig?: {
    readonly EndpointsConfig: Readonly<
      Record<string, { readonly IPAMConfig: { readonly IPv4Address: string } }>
    >;
  };
}

interface HostBody {
  /** A network of ours by name, `none`, or `container:` and the id of a network sandbox of ours. */
  readonly NetworkMode: string;
  /** A runtime that the operator has allowed; without it the engine's own default. */
  readonly Runtime?: RuntimeName;
  /** The cards that the books have given it. */
  readonly DeviceRequests?: readonly DeviceRequest[];
  readonly Devices?: readonly [SgxDevice];
  readonly Mounts?:
    | readonly [AesmMount]
    | readonly [WorkMount]
    | readonly [HelperMount]
    | readonly WorkerMount[];
  /** Of a worker, whose libraries share memory among its processes. */
  readonly ShmSize?: number;
  readonly Dns?: readonly string[];
  readonly CapDrop: readonly ["ALL"];
  /** Only for a helper of ours that opens to the daemon what a job has closed. */
  readonly CapAdd?: readonly ["FOWNER"];
  readonly SecurityOpt: readonly string[];
  readonly NanoCpus?: number;
  readonly Memory: number;
  /** Memory and swap together; equal to `Memory`, so no swap. */
  readonly MemorySwap: number;
  readonly PidsLimit: number;
  readonly Ulimits: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[];
  readonly Init: boolean;
  readonly ReadonlyRootfs: boolean;
  readonly RestartPolicy: { readonly Name: "no" };
  readonly AutoRemove: false;
  readonly LogConfig: {
    readonly Type: "json-file" | "none";
    readonly Config: Readonly<Record<string, string>>;
  };
  readonly PortBindings?: Readonly<
    Record<string, readonly { readonly HostIp: "127.0.0.1"; readonly HostPort: "" }[]>
  >;
}

/** Where a container's network comes from. */
export type NetworkPlace =
  | { readonly type: "join"; readonly containerId: string }
  | {
      readonly type: "own";
      readonly networkName: string;
      readonly address: string;
      /** Whether the task's port is published on a loopback port that the engine picks. */
      readonly isPublished: boolean;
      /** What the engine's resolver asks for outside names; empty for what it would ask by itself. */
      readonly dns: readonly string[];
    };

export const PIDS_LIMIT = 256;
/** It uses a tenth of a megabyte; but the runtime's own first steps in a container are counted too, and died at 6 MB now and then. */
const PAUSE_MEMORY_BYTES = 32 * 1_048_576;
/** A user without rights, and that a setuid program would leave. */
const NOBODY = "65534:65534";
const OPEN_FILES_LIMIT = 1024;
/** A worker has a thread for every request, and its libraries have theirs. */
const WORKER_PIDS_LIMIT = 4096;
const GIBIBYTE = 1_073_741_824;
/**
 * The reference raises open files, locked memory and more (`contracts/indexify.md` section 6.3); an engine that may not raise its
 * own limits then starts nothing at all, so a worker has what the engine gives by itself.
 */
const WORKER_ULIMITS = [{ Name: "core", Soft: 0, Hard: 0 }] as const;
/** Two files, so that a rotation never empties the tail; 1 MiB in all. */
const LOG_CONFIG = { Type: "json-file", Config: { "max-size": "512k", "max-file": "2" } } as const;
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
): ContainerBody {
  // The last word on the cards is ours.
  const { NVIDIA_VISIBLE_DEVICES: _, ...environment } = spec.environment;
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return {
    Image: spec.image.digest,
    // In the place of what the image would start.
    Entrypoint: spec.command(`0.0.0.0:${TASK_PORT}`),
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
      Ulimits: WORKER_ULIMITS,
      ShmSize: GIBIBYTE,
      Mounts: workerMounts(spec),
    },
    ...endpointOf(place),
  };
}

/** The body of a network sandbox: a container that only sleeps, so that its network stays. */
export function pauseBody(
  image: string,
  labels: Labels,
  place: NetworkPlace & { readonly type: "own" },
  seccomp: string | undefined,
): ContainerBody {
  return {
    Image: image,
    Entrypoint: ["/pause"],
    Env: [],
    Labels: labels,
    // The first process of a container takes no other signal without asking for it; the engine's own stop would wait 10 s.
    StopSignal: "SIGKILL",
    Healthcheck: { Test: ["NONE"] },
    ...exposedPorts(place),
    HostConfig: {
      ...networkOf(place),
      CapDrop: ["ALL"],
      SecurityOpt: securityOptions(seccomp),
      Memory: PAUSE_MEMORY_BYTES,
      MemorySwap: PAUSE_MEMORY_BYTES,
      PidsLimit: 4,
      Ulimits: [],
      Init: false,
      ReadonlyRootfs: true,
      RestartPolicy: { Name: "no" },
      AutoRemove: false,
      LogConfig: { Type: "none", Config: {} },
    },
    ...endpointOf(place),
  };
}

/** The body of a test sandbox: what every task gets, for a program of ours that runs for a moment. */
export function probeBody(
  image: string,
  labels: Labels,
  place: NetworkPlace & { readonly type: "own" },
  seccomp: string | undefined,
  { command, runtime }: { readonly command: readonly string[]; readonly runtime: RuntimeName | undefined },
): ContainerBody {
  return {
    Image: image,
    Entrypoint: command,
    User: NOBODY,
    Env: [],
    Labels: labels,
    Healthcheck: { Test: ["NONE"] },
    HostConfig: {
      ...networkOf(place),
      ...runtimeOf({ runtime }),
      CapDrop: ["ALL"],
      SecurityOpt: securityOptions(seccomp),
      NanoCpus: PROBE_CPU_MILLIS * 1_000_000,
      Memory: PROBE_MEMORY_BYTES,
      MemorySwap: PROBE_MEMORY_BYTES,
      PidsLimit: PIDS_LIMIT,
      Ulimits: [{ Name: "core", Soft: 0, Hard: 0 }],
      Init: false,
      ReadonlyRootfs: true,
      RestartPolicy: { Name: "no" },
      AutoRemove: false,
      LogConfig: LOG_CONFIG,
    },
    ...endpointOf(place),
  };
}

/** What a helper of ours is made for. */
export interface HelperWish {
  /** One that we have made. */
  readonly image: string;
  readonly command: readonly string[];
  /** The only folder of the host that it sees, by the engine's name for it: a work folder, or the shared folder above them. */
  readonly hostPath: string;
  readonly mayWrite: boolean;
}

/** The body of a helper: a program of ours without a network, which may change the modes of other users' files and no more. */
export function helperBody(
  { image, command, hostPath, mayWrite }: HelperWish,
  labels: Labels,
  seccomp: string | undefined,
): ContainerBody {
  return {
    Image: image,
    Entrypoint: command,
    User: "0:0",
    Env: [],
    Labels: labels,
    StopSignal: "SIGKILL",
    Healthcheck: { Test: ["NONE"] },
    HostConfig: {
      NetworkMode: "none",
      Mounts: [helperMount(hostPath, !mayWrite)],
      CapDrop: ["ALL"],
      ...(mayWrite ? { CapAdd: ["FOWNER"] as const } : {}),
      SecurityOpt: securityOptions(seccomp),
      Memory: PAUSE_MEMORY_BYTES,
      MemorySwap: PAUSE_MEMORY_BYTES,
      PidsLimit: 4,
      Ulimits: [],
      Init: false,
      ReadonlyRootfs: true,
      RestartPolicy: { Name: "no" },
      AutoRemove: false,
      LogConfig: { Type: "none", Config: {} },
    },
  };
}

function runtimeOf({ runtime }: Pick<IsolationPlan, "runtime">): Pick<HostBody, "Runtime"> {
  return runtime === undefined ? {} : { Runtime: runtime };
}

function securityOptions(seccomp: string | undefined): readonly string[] {
  return ["no-new-privileges", ...(seccomp === undefined ? [] : [`seccomp=${seccomp}`])];
}

const PORT_NAME = `${TASK_PORT}/tcp`;

function networkOf(place: NetworkPlace): Pick<HostBody, "NetworkMode" | "PortBindings" | "Dns"> {
  if (place.type === "join") return { NetworkMode: `container:${place.containerId}` };
  const published = { PortBindings: { [PORT_NAME]: [{ HostIp: "127.0.0.1", HostPort: "" }] } } as const;
  const dns = place.dns.length > 0 ? { Dns: place.dns } : {};
  return { NetworkMode: place.networkName, ...dns, ...(place.isPublished ? published : {}) };
}

function exposedPorts(place: NetworkPlace): Pick<ContainerBody, "ExposedPorts"> {
  return place.type === "own" && place.isPublished ? { ExposedPorts: { [PORT_NAME]: {} } } : {};
}

function endpointOf(place: NetworkPlace): Pick<ContainerBody, "NetworkingConfig"> {
  if (place.type === "join") return {};
  const end = { IPAMConfig: { IPv4Address: place.address } };
  return { NetworkingConfig: { EndpointsConfig: { [place.networkName]: end } } };
}
