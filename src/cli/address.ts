import { readFileSync } from "node:fs";
import { controlAddress } from "../std/control-address.ts";
import { UsageError } from "./command.ts";

type Env = Readonly<Record<string, string | undefined>>;

const DEFAULT_PORT = 2591;

/** Where the daemon listens: a base address, and a socket's path where it is no port. */
export interface Address {
  readonly baseUrl: string;
  readonly socketPath?: string;
}

/**
 * The daemon's address: what `--host` says, else `$HEARTH_HOST`, else where a daemon with this environment would listen.
 *
 * @throws {@link UsageError} when that is no address.
 */
export function daemonAddress(option: string | undefined, env: Env): Address {
  const told = option ?? env["HEARTH_HOST"];
  if (told !== undefined && told !== "") return parseAddress(told);
  const inContainer = env["HEARTH_IN_CONTAINER"] === "1" ? controlAddress() : undefined;
  const host = env["HEARTH_HTTP_HOST"] || inContainer || "127.0.0.1";
  const port = env["HEARTH_HTTP_PORT"] || String(DEFAULT_PORT);
  return parseAddress(`http://${reachable(host)}:${port}`);
}

/** An address to listen on everywhere is none to call; on the same host loopback is behind it. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}

export function parseAddress(text: string): Address {
  if (text.startsWith("unix://")) {
    return { baseUrl: "http://localhost", socketPath: text.slice("unix://".length) };
  }
  const url = parseUrl(withScheme(text));
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.hostname === "") {
    throw new UsageError(
      `"${text}" is no address of a daemon; expected http://host:port, host:port or unix:///path`,
    );
  }
  if (url.port === "" && !text.includes("://")) url.port = String(DEFAULT_PORT);
  return { baseUrl: url.href.replace(/\/$/, "") };
}

function withScheme(text: string): string {
  if (text.includes("://")) return text;
  return `http://${text.startsWith(":") ? `127.0.0.1${text}` : text}`;
}

function parseUrl(text: string): URL | null {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

/** The bearer token that goes with every request. @throws {@link UsageError} when its file cannot be read. */
export function accessToken(env: Env): string | undefined {
  if (env["HEARTH_TOKEN"]) return env["HEARTH_TOKEN"];
  const file = env["HEARTH_TOKEN_FILE"];
  if (file === undefined || file === "") return undefined;
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    throw new UsageError(`HEARTH_TOKEN_FILE: ${file} cannot be read`);
  }
}
