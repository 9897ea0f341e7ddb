import { readFileSync } from "node:fs";
import { UsageError } from "../command.ts";

type Env = Readonly<Record<string, string | undefined>>;

const DEFAULT_URL = "http://127.0.0.1:8000";
/** What `hearth api` takes while it has no key of its own, which it does on this host alone. */
const DEVELOPMENT_KEY = "1234";

/** Where the web API is, and the key for it. @throws {@link UsageError} when the address is none, or there is no key. */
export function jobApiAddress(
  option: string | undefined,
  env: Env,
): { readonly baseUrl: string; readonly key: string } {
  const told = option ?? (env["HEARTH_API_URL"] || DEFAULT_URL);
  const url = parse(told);
  if (url === undefined)
    throw new UsageError(`"${told}" is no address of a web API; expected http://host:port`);
  const key = keyOf(env);
  if (key !== undefined) return { baseUrl: url.href, key };
  if (!isLoopback(url.hostname)) {
    throw new UsageError(`the web API at ${url.host} needs a key: set HEARTH_API_KEY or HEARTH_API_KEY_FILE`);
  }
  return { baseUrl: url.href, key: DEVELOPMENT_KEY };
}

function parse(text: string): URL | undefined {
  const whole = text.includes("://") ? text : `http://${text}`;
  if (!URL.canParse(whole)) return undefined;
  const url = new URL(whole);
  return ["http:", "https:"].includes(url.protocol) && url.hostname !== "" ? url : undefined;
}

function keyOf(env: Env): string | undefined {
  if (env["HEARTH_API_KEY"]) return env["HEARTH_API_KEY"];
  const file = env["HEARTH_API_KEY_FILE"];
  if (file === undefined || file === "") return undefined;
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    throw new UsageError(`HEARTH_API_KEY_FILE: ${file} cannot be read`);
  }
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || host.startsWith("127.");
}
