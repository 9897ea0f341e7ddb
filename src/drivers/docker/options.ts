import type { DriverSettings, Log, NetworkSettings } from "../../core/index.ts";
import type { DoorAddress } from "./isolation/probe-targets.ts";
import type { SgxSettings } from "./sgx/sgx-host.ts";

/**
 * How the daemon reaches a task: by the address of its network sandbox (`direct`, on the host), as a member of each task
 * network (`member`, the daemon itself in a container), or by a published loopback port (`published`, where container
 * addresses are not routable). `auto` finds out.
 */
export type Reach = "direct" | "member" | "published";

/** TLS material as PEM text, for an engine behind `tcp://` or `https://`. */
export interface EngineTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** All plain values: the driver reads no configuration and no environment of its own. */
export interface DockerDriverOptions {
  /** Where the engine answers, as in `DOCKER_HOST`: `unix:///path`, a plain path, `tcp://host:port`, `http(s)://host:port`. Default: `unix:///var/run/docker.sock`. */
  readonly host?: string | undefined;
  /** Short for `host: "unix://…"`; `host` wins. */
  readonly socketPath?: string | undefined;
  readonly tls?: EngineTls | undefined;
  /** Names this daemon across its lives. Whatever carries it as a label is ours to remove. */
  readonly ownerId: string;
  /** Names this life of the daemon. */
  readonly instanceId: string;
  /** What tasks may reach. Default: nothing but answers to the daemon, and `egress` for who asks. */
  readonly network?: NetworkSettings | undefined;
  /** IPv4 range that the task networks are cut from, one /29 each; at least a /29. Default: `10.213.0.0/16`. */
  readonly networkRange?: string | undefined;
  /** Network sandboxes kept ready for starts to come; 0 makes each on its way. Default: 10. */
  readonly networksAhead?: number | undefined;
  /** Default: `auto`. */
  readonly reach?: Reach | "auto" | undefined;
  /** A Docker client's `config.json` for registry credentials; read anew for each pull, only its `auths`. */
  readonly registryConfigPath?: string | undefined;
  /** From the first byte that asks for an image to its presence. Default: 10 minutes. */
  readonly pullTimeoutMs?: number | undefined;
  /** A pull that shows no progress for this long has failed. Default: 2 minutes. */
  readonly pullStallMs?: number | undefined;
  /** The engine's runtimes that may be named, and the class that each is for. Default: none. */
  readonly runtimes?: DriverSettings["runtimes"] | undefined;
  /** What the host has for SGX tasks. Default: nothing, and they are refused. */
  readonly sgx?: SgxSettings | undefined;
  /** Resolves once the executor's own doors listen, with where: a test sandbox tries to reach them. Default: none. */
  readonly doors?: (() => Promise<readonly DoorAddress[]>) | undefined;
  readonly log?: Log | undefined;
}

export const DEFAULT_ENGINE_HOST = "unix:///var/run/docker.sock";
export const DEFAULT_NETWORK_RANGE = "10.213.0.0/16";
export const DEFAULT_NETWORKS_AHEAD = 10;
export const DEFAULT_PULL_TIMEOUT_MS = 600_000;
export const DEFAULT_PULL_STALL_MS = 120_000;

/** The port that every task's server listens on inside its sandbox (`contracts/meca.md` section 4). */
export const TASK_PORT = 8080;

/** Where the ports of tasks are published that are not reached by their own addresses. */
export const PUBLISHED_HOST = "127.0.0.1";
