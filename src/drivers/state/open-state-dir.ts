import { randomBytes } from "node:crypto";
import { chmod, readFile, rename, unlink, writeFile } from "node:fs/promises";
import type { Server } from "node:net";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { ExecutorError } from "../../core/index.ts";
import { makeFolder } from "../../std/files/index.ts";

/** A Unix socket's path may be this long on Linux; a longer state directory could not be locked. */
const LONGEST_SOCKET_PATH = 107;
const PROBE_MS = 1_000;

/** The daemon's own folder, held by this process alone. */
export interface StateDir extends AsyncDisposable {
  readonly path: string;
  /** Names this daemon over all of its lives; on everything that it makes. */
  readonly ownerId: string;
}

/**
 * Opens (and makes, for its owner only) the state directory and takes its lock: a Unix socket that this process listens on, so
 * that the lock ends with the process however that ends, also across containers that share the folder.
 *
 * @param ownerName used instead of the name that the folder keeps; for hosts where the folder does not survive.
 * @throws {@link ExecutorError} STATE_IN_USE when another daemon holds it, or the name on this host; CONFIG_INVALID when the folder cannot be used.
 */
export async function openStateDir(path: string, ownerName: string): Promise<StateDir> {
  const lockPath = join(path, "lock");
  if (Buffer.byteLength(lockPath) > LONGEST_SOCKET_PATH) {
    throw new ExecutorError("CONFIG_INVALID", { field: "state_dir", reason: `${path} is too long a path` });
  }
  try {
    await makeFolder(path);
  } catch (cause) {
    throw unusable(path, cause);
  }
  const lock = await takeLock(lockPath, path);
  try {
    const nameLock = ownerName === "" ? undefined : await takeName(ownerName, path);
    const ownerId = ownerName === "" ? await readOrMakeOwner(join(path, "owner")) : ownerName;
    const releaseBoth = async (): Promise<void> => {
      await release(lock);
      if (nameLock !== undefined) await release(nameLock);
    };
    return { path, ownerId, [Symbol.asyncDispose]: releaseBoth };
  } catch (cause) {
    await release(lock);
    throw cause instanceof ExecutorError ? cause : unusable(path, cause);
  }
}

/**
 * Takes a name that was given to this daemon, for it could be given to a second one with a folder of its own, and the two would
 * remove each other's sandboxes. Linux keeps such a socket without a file, and per network namespace: daemons in containers of
 * their own do not see each other's.
 */
async function takeName(ownerName: string, path: string): Promise<Server | undefined> {
  if (process.platform !== "linux") return undefined;
  try {
    return await listen(`\0hearth-owner/${ownerName}`);
  } catch (cause) {
    if ((cause as { readonly code?: unknown }).code !== "EADDRINUSE") throw cause;
    const reason = `another daemon on this host has the owner name ${ownerName}`;
    throw new ExecutorError("STATE_IN_USE", { path, reason }, { cause });
  }
}

async function takeLock(lockPath: string, path: string): Promise<Server> {
  for (let tries = 1; ; tries += 1) {
    try {
      const lock = await listen(lockPath);
      await chmod(lockPath, 0o600);
      return lock;
    } catch (cause) {
      if ((cause as { readonly code?: unknown }).code !== "EADDRINUSE") throw unusable(path, cause);
      if (tries > 2 || (await isAnswered(lockPath)))
        throw new ExecutorError("STATE_IN_USE", { path }, { cause });
      // Nobody listens: the socket of a life that was killed.
      await unlink(lockPath).catch((error: unknown) => {
        throw unusable(path, error);
      });
    }
  }
}

function listen(lockPath: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", reject);
    server.listen(lockPath, () => resolve(server.unref()));
  });
}

function isAnswered(lockPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(lockPath);
    const done = (isTaken: boolean): void => {
      socket.destroy();
      resolve(isTaken);
    };
    socket.setTimeout(PROBE_MS, () => done(true));
    socket.once("connect", () => done(true));
    socket.once("error", () => done(false));
  });
}

/** Closing a listening Unix socket also unlinks it. */
function release(lock: Server): Promise<void> {
  return new Promise((resolve) => {
    lock.close(() => resolve());
  });
}

async function readOrMakeOwner(file: string): Promise<string> {
  try {
    const kept = (await readFile(file, "utf8")).trim();
    if (/^[a-z0-9]{12}$/.test(kept)) return kept;
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== "ENOENT") throw error;
  }
  const made = randomBytes(6).toString("hex");
  // By rename, so that a crash leaves either no name or a whole one.
  await writeFile(`${file}.new`, `${made}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
  return made;
}

function unusable(path: string, cause: unknown): ExecutorError {
  const code = (cause as { readonly code?: unknown }).code;
  const reason = `${path} cannot be used (${String(code ?? cause)})`;
  return new ExecutorError("CONFIG_INVALID", { field: "state_dir", reason }, { cause });
}
