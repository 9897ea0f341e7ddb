import { PROBE_CPU_MILLIS, PROBE_MEMORY_BYTES } from "../../../std/index.ts";
import type { RuntimeName } from "../isolation/configured-class.ts";
import type { ContainerBody, NetworkPlace } from "./container-body.ts";
import {
  endpointOf,
  exposedPorts,
  LOG_CONFIG,
  networkOf,
  PIDS_LIMIT,
  runtimeOf,
  securityOptions,
} from "./container-body.ts";
import { deviceRequests, visibleDevices } from "./gpu-request.ts";
import type { Labels } from "./labels.ts";
import { helperMount } from "./work-mount.ts";

/** It uses a tenth of a megabyte; but the runtime's own first steps in a container are counted too, and died at 6 MB now and then. */
const PAUSE_MEMORY_BYTES = 32 * 1_048_576;
/** A user without rights, and that a setuid program would leave. */
const NOBODY = "65534:65534";

/** What a container of ours is held to that does next to nothing, writes nothing and says nothing. */
function smallest(seccomp: string | undefined) {
  return {
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
  } as const;
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
      ...smallest(seccomp),
    },
    ...endpointOf(place),
  };
}

/** What a test sandbox runs, and what it is given for that. */
export interface ProbePlan {
  readonly command: readonly string[];
  /** `undefined`: the engine's own default. */
  readonly runtime: RuntimeName | undefined;
  /** Default: no cards. */
  readonly gpuIds?: readonly string[];
}

/**
 * The body of a test sandbox: what every task gets, for a program of ours that runs for a moment.
 *
 * @param place `undefined`: no network.
 */
export function probeBody(
  image: string,
  labels: Labels,
  place: (NetworkPlace & { readonly type: "own" }) | undefined,
  seccomp: string | undefined,
  { command, runtime, gpuIds = [] }: ProbePlan,
): ContainerBody {
  return {
    Image: image,
    Entrypoint: command,
    User: NOBODY,
    Env: gpuIds.length === 0 ? [] : [visibleDevices(gpuIds)],
    Labels: labels,
    Healthcheck: { Test: ["NONE"] },
    HostConfig: {
      ...(place === undefined ? { NetworkMode: "none" } : networkOf(place)),
      ...runtimeOf({ runtime }),
      ...deviceRequests(gpuIds),
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
    ...(place === undefined ? {} : endpointOf(place)),
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
      ...smallest(seccomp),
    },
  };
}
