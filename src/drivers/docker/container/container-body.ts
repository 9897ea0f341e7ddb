import type { RuntimeName } from "../isolation/configured-class.ts";
import { TASK_PORT } from "../options.ts";
import type { AesmMount, SgxDevice } from "../sgx/sgx-parts.ts";
import type { Ulimit } from "../worker/worker-limits.ts";
import type { DeviceRequest } from "./gpu-request.ts";
import type { Labels } from "./labels.ts";
import type { IsolationPlan } from "./plan-isolation.ts";
import type { HelperMount, WorkerMount, WorkMount } from "./work-mount.ts";

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

export interface HostBody {
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
  readonly Ulimits: readonly Ulimit[];
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
/** Two files, so that a rotation never empties the tail; 1 MiB in all. */
export const LOG_CONFIG = { Type: "json-file", Config: { "max-size": "512k", "max-file": "2" } } as const;

export function runtimeOf({ runtime }: Pick<IsolationPlan, "runtime">): Pick<HostBody, "Runtime"> {
  return runtime === undefined ? {} : { Runtime: runtime };
}

export function securityOptions(seccomp: string | undefined): readonly string[] {
  return ["no-new-privileges", ...(seccomp === undefined ? [] : [`seccomp=${seccomp}`])];
}

const PORT_NAME = `${TASK_PORT}/tcp`;

export function networkOf(place: NetworkPlace): Pick<HostBody, "NetworkMode" | "PortBindings" | "Dns"> {
  if (place.type === "join") return { NetworkMode: `container:${place.containerId}` };
  const published = { PortBindings: { [PORT_NAME]: [{ HostIp: "127.0.0.1", HostPort: "" }] } } as const;
  const dns = place.dns.length > 0 ? { Dns: place.dns } : {};
  return { NetworkMode: place.networkName, ...dns, ...(place.isPublished ? published : {}) };
}

export function exposedPorts(place: NetworkPlace): Pick<ContainerBody, "ExposedPorts"> {
  return place.type === "own" && place.isPublished ? { ExposedPorts: { [PORT_NAME]: {} } } : {};
}

export function endpointOf(place: NetworkPlace): Pick<ContainerBody, "NetworkingConfig"> {
  if (place.type === "join") return {};
  const end = { IPAMConfig: { IPv4Address: place.address } };
  return { NetworkingConfig: { EndpointsConfig: { [place.networkName]: end } } };
}
