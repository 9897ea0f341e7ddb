import { constants, fchmod, fsync, open, write } from "node:fs";
import { promisify } from "node:util";
import type { Looks } from "./looks.ts";

const openLater = promisify(open);
const chmodLater = promisify(fchmod);
const syncLater = promisify(fsync);
const writeLater = promisify(write);

const MODE_BITS = 0o7777;

/** Makes a file that is not there yet. @returns its descriptor. @throws what the file system says. */
export async function openNew(path: string, mode: number): Promise<number> {
  return await openLater(path, "wx", mode);
}

const NEW_SAFE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_DSYNC;

/**
 * Makes a file whose bytes are on disk as soon as they are written (`O_DSYNC`, open(2)): for what is written in one piece, which
 * needs no {@link syncFile} after it. As {@link openNew} else.
 */
export async function openNewSafe(path: string, mode: number): Promise<number> {
  return await openLater(path, NEW_SAFE, mode);
}

/** Gives an open file its mode where the umask of this process has cut it. */
export async function keepMode(fd: number, mode: number, looks: Looks): Promise<void> {
  const stats = await looks.stats(fd);
  if ((stats.mode & MODE_BITS) !== mode) await chmodLater(fd, mode);
}

/** Writes all of it, from where the file's last write ended. */
export async function writeAll(fd: number, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await writeLater(fd, bytes, at, bytes.length - at, null)).bytesWritten;
  }
}

/** Brings to disk what was written to an open file, or the names in an open folder. */
export async function syncFile(fd: number): Promise<void> {
  await syncLater(fd);
}
