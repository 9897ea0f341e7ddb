import { readFile } from "node:fs/promises";
import type { RegistryLogin } from "../engine/images.ts";
import { isRecord } from "../engine/json-lines.ts";

/** The name under which Docker's clients keep the login of Docker Hub. */
const HUB_KEY = "https://index.docker.io/v1/";

/**
 * Looks a registry's login up in a Docker client's `config.json`. Only `auths` is read: credential helpers are programs, and
 * the daemon runs none for a pull. No file, a broken one or no entry all mean: without a login.
 */
export async function readLogin(
  configPath: string | undefined,
  domain: string,
): Promise<RegistryLogin | undefined> {
  if (configPath === undefined) return undefined;
  try {
    return findLogin(JSON.parse(await readFile(configPath, "utf8")), domain);
  } catch {
    return undefined;
  }
}

/** @param config the parsed content of the file, of any shape. */
export function findLogin(config: unknown, domain: string): RegistryLogin | undefined {
  const auths = isRecord(config) ? config["auths"] : undefined;
  if (!isRecord(auths)) return undefined;
  const keys = domain === "docker.io" ? [HUB_KEY, "docker.io", "index.docker.io"] : [domain];
  const named = [...keys, ...keys.flatMap((key) => [`https://${key}`, `https://${key}/`, `http://${key}`])];
  const key = named.find((name) => isRecord(auths[name]));
  const entry = key === undefined ? undefined : auths[key];
  if (key === undefined || !isRecord(entry)) return undefined;
  const serveraddress = domain === "docker.io" ? HUB_KEY : domain;
  const token = text(entry["identitytoken"]);
  if (token !== undefined) return { identitytoken: token, serveraddress };
  const [user, password] = decodePair(text(entry["auth"])) ?? [
    text(entry["username"]),
    text(entry["password"]),
  ];
  return user === undefined || password === undefined
    ? undefined
    : { username: user, password, serveraddress };
}

/** `auth` is `user:password` in base64. */
function decodePair(auth: string | undefined): readonly [string, string] | undefined {
  if (auth === undefined) return undefined;
  const pair = Buffer.from(auth, "base64").toString("utf8");
  const colon = pair.indexOf(":");
  return colon < 0 ? undefined : [pair.slice(0, colon), pair.slice(colon + 1)];
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
