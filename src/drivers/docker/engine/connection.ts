import { Agent } from "node:http";
import { inspect } from "node:util";
import type Docker from "dockerode";
import { ExecutorError } from "../../../core/index.ts";
import type { DockerDriverOptions } from "../options.ts";
import { DEFAULT_ENGINE_HOST } from "../options.ts";

/** Where an engine answers, in the library's terms. All keys are always set: what is missing it would read from `DOCKER_HOST`. */
type Connection = Pick<Docker.DockerOptions, "socketPath" | "host" | "port" | "protocol">;

/**
 * Opens no connection yet: each call makes its own, which on a local socket costs 50 us and spares us the half-dead
 * connections of an engine that has restarted.
 */
export async function connectLibrary(
  options: Pick<DockerDriverOptions, "host" | "socketPath" | "tls">,
  version: string | undefined,
): Promise<Docker> {
  // Loaded here and not above: a daemon that uses another driver never pays for it.
  const { default: Library } = await import("dockerode");
  const isTls = options.tls !== undefined;
  return new Library({
    ...parseEngineHost(engineHost(options), isTls),
    ...(options.tls ?? { ca: undefined, cert: undefined, key: undefined }),
    timeout: undefined,
    ...(isTls ? {} : { agent: new QuietAgent({ keepAlive: false }) }),
    version: version === undefined ? undefined : `v${version}`,
  });
}

/** The engine's address as the options name it. */
export function engineHost(options: Pick<DockerDriverOptions, "host" | "socketPath">): string {
  return options.host ?? options.socketPath ?? DEFAULT_ENGINE_HOST;
}

/** The file of the engine's socket; `undefined` where it has none. */
export function engineSocket(
  options: Pick<DockerDriverOptions, "host" | "socketPath" | "tls">,
): string | undefined {
  return parseEngineHost(engineHost(options), options.tls !== undefined).socketPath;
}

/** @throws {@link ExecutorError} CONFIG_INVALID for anything that is no `unix://`, `tcp://`, `http://` or `https://` address. */
export function parseEngineHost(host: string, isTls: boolean): Connection {
  if (host.startsWith("/")) return atSocket(host);
  if (host.startsWith("unix://")) return atSocket(host.slice("unix://".length));
  if (host.startsWith("npipe://")) return atSocket(host.slice("npipe://".length));
  const url = URL.canParse(host) ? new URL(host) : undefined;
  if (url === undefined || !["tcp:", "http:", "https:"].includes(url.protocol) || url.hostname === "") {
    const reason = `the engine's address must be unix:///path, tcp://host:port, http://… or https://…, and is ${JSON.stringify(host)}`;
    throw new ExecutorError("CONFIG_INVALID", { field: "docker.host", reason });
  }
  const isSecure = isTls || url.protocol === "https:";
  const port = url.port === "" ? (isSecure ? 2376 : 2375) : Number(url.port);
  return { socketPath: undefined, host: url.hostname, port, protocol: isSecure ? "https" : "http" };
}

function atSocket(socketPath: string): Connection {
  return { socketPath, host: undefined, port: undefined, protocol: "http" };
}

/** The library prints each request's options for its debug log, wanted or not; an agent prints at 0.3 ms a call. */
class QuietAgent extends Agent {
  [inspect.custom](): string {
    return "Agent";
  }
}
