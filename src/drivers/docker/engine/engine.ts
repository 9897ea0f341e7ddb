import { hostname } from "node:os";
import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { ExecutorError } from "../../../core/index.ts";
import type { DockerDriverOptions } from "../options.ts";
import { readText, readTexts, toReadable } from "./answer.ts";
import { EngineCaller } from "./caller.ts";
import { connectLibrary, engineHost, parseEngineHost } from "./connection.ts";
import { ContainerClient } from "./containers.ts";
import { ImageClient } from "./images.ts";
import { isRecord } from "./json-lines.ts";
import type { EngineVersions } from "./negotiate.ts";
import { negotiateApi } from "./negotiate.ts";
import { NetworkClient } from "./networks.ts";

/** One engine, at one API version. No type of the Docker library leaves the `engine` folder but the create body's. */
export interface Engine {
  readonly versions: EngineVersions;
  readonly api: string;
  readonly architecture: string;
  /** Whether engine and daemon share a kernel, as far as their host names tell. */
  readonly isLocal: boolean;
  /** Whether it answers at a socket file rather than an address of a network. */
  readonly isSocket: boolean;
  readonly isSeccompOn: boolean;
  /** Whether users inside of its containers are others outside: it maps them, or runs without root. */
  readonly mapsUsers: boolean;
  /** Whether it can put a process of its own before a container's; without, a task has to reap what it leaves behind. */
  readonly hasInit: boolean;
  /** Limits that this host's kernel does not enforce, by the names of the fields that ask for them. */
  readonly missingLimits: readonly string[];
  /** Whether its operator gave it a seccomp profile of their own, which then is policy. */
  readonly hasOwnSeccompProfile: boolean;
  readonly containers: ContainerClient;
  readonly images: ImageClient;
  readonly networks: NetworkClient;
  /** What containers can be run in now. */
  runtimes(signal?: AbortSignal): Promise<RuntimeList>;
  /** Asks for a sign of life within 2 s, whatever else is going on. */
  ping(signal?: AbortSignal): Promise<void>;
  /** The engine's events for what carries the label, one JSON object a line, until it is destroyed or the engine ends. */
  openEvents(label: string, signal: AbortSignal): Promise<Readable>;
  /** What it remembers of containers, of anybody's: a stream that ends. */
  openPastEvents(signal?: AbortSignal): Promise<Readable>;
}

export interface RuntimeList {
  readonly names: readonly string[];
  /** The one for containers that name none. */
  readonly byDefault: string;
  /** What stands behind each name, as one text that changes when that does: its program and arguments. */
  readonly definitions: ReadonlyMap<string, string>;
}

/**
 * Connects to the engine and agrees on an API version.
 *
 * @throws {@link ExecutorError} ENGINE_UNAVAILABLE if nothing answers or no version fits; CONFIG_INVALID for a bad address.
 */
export async function openEngine(
  options: Pick<DockerDriverOptions, "host" | "socketPath" | "tls">,
  signal: AbortSignal,
): Promise<Engine> {
  const asking = await connectLibrary(options, undefined);
  const first = new EngineCaller((abortSignal) => ping(asking, abortSignal));
  const [version, info] = await Promise.all([
    first.call("version", () => asking.version(), { signal }),
    first.call("info", (): Promise<unknown> => asking.info(), { signal }),
  ]);
  const spoken = readText(version, "ApiVersion");
  if (spoken === undefined) {
    throw new ExecutorError("ENGINE_UNAVAILABLE", { reason: "what answers there is no Docker engine" });
  }
  const oldestApi = readText(version, "MinAPIVersion") ?? spoken;
  const versions = { engine: version.Version, api: spoken, oldestApi };
  const api = negotiateApi(versions);
  const docker = await connectLibrary(options, api);
  const caller = new EngineCaller((abortSignal) => ping(docker, abortSignal));
  const security = readTexts(info, "SecurityOptions");
  const seccomp = security.find((option) => option.startsWith("name=seccomp"));
  return {
    versions,
    api,
    architecture: version.Arch,
    isSocket: parseEngineHost(engineHost(options), options.tls !== undefined).socketPath !== undefined,
    isLocal: readText(info, "Name") === hostname(),
    // What an engine says when the program is not installed.
    hasInit: readText(isRecord(info) ? info["InitCommit"] : undefined, "ID") !== "N/A",
    missingLimits: LIMITS.filter((name) => isRecord(info) && info[name] === false),
    isSeccompOn: seccomp !== undefined,
    mapsUsers: security.some((option) => /^name=(userns|rootless)\b/.test(option)),
    hasOwnSeccompProfile: seccomp !== undefined && !/profile=(default|builtin|unconfined)\b/.test(seccomp),
    containers: new ContainerClient(docker, caller),
    images: new ImageClient(docker, caller),
    networks: new NetworkClient(docker, caller),
    runtimes: async (readSignal) => {
      const read = async (): Promise<unknown> => await docker.info();
      return readRuntimes(await caller.read("info", read, { signal: readSignal }));
    },
    ping: (pingSignal) => caller.look((abortSignal) => ping(docker, abortSignal), pingSignal),
    openEvents: (label, eventSignal) => openEvents(docker, caller, label, eventSignal),
    openPastEvents: (eventSignal) => openPastEvents(docker, caller, eventSignal),
  };
}

function readRuntimes(info: unknown): RuntimeList {
  const runtimes = isRecord(info) && isRecord(info["Runtimes"]) ? info["Runtimes"] : {};
  return {
    names: Object.keys(runtimes).sort(),
    byDefault: readText(info, "DefaultRuntime") ?? "",
    definitions: new Map(Object.entries(runtimes).map(([name, value]) => [name, JSON.stringify(value)])),
  };
}

/** The library takes options here; its types know a callback only. */
function ping(docker: object, abortSignal: AbortSignal): Promise<unknown> {
  return (docker as { ping(options: { abortSignal: AbortSignal }): Promise<unknown> }).ping({ abortSignal });
}

/** What an engine says about each limit that a task's container asks for. */
const LIMITS = ["MemoryLimit", "SwapLimit", "CpuCfsQuota", "PidsLimit"] as const;

async function openEvents(
  docker: Docker,
  caller: EngineCaller,
  label: string,
  signal: AbortSignal,
): Promise<Readable> {
  const filters = { type: ["container"], label: [label], event: ["die", "oom", "destroy"] };
  const stream = await caller.call(
    "events",
    // The library writes objects in a query as JSON, which is what the engine wants here; its types want a string.
    () => docker.getEvents({ filters: JSON.stringify(filters) }),
    { signal },
  );
  return toReadable(stream);
}

/** Until a time that is over by any clock that is not far ahead of ours: else it would go on. */
async function openPastEvents(
  docker: Docker,
  caller: EngineCaller,
  signal: AbortSignal | undefined,
): Promise<Readable> {
  const filters = JSON.stringify({ type: ["container"] });
  const until = Math.floor(Date.now() / 1000) + 1;
  const stream = await caller.read("events", () => docker.getEvents({ since: 1, until, filters }), {
    signal,
  });
  return toReadable(stream);
}
