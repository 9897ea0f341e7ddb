import { randomUUID } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { open, rename, rm } from "node:fs/promises";
import type { OpenFolder } from "./folders.ts";
import { inside } from "./folders.ts";

/** No key can name such a file, since no segment of one begins with a dot. */
const HALF = /^\.hearth-[0-9a-f-]{36}\.part$/;

/** A name for a file that is not whole yet. */
export const halfIn = (folder: OpenFolder): string => inside(folder, `.hearth-${randomUUID()}.part`);

export const isHalf = (name: string): boolean => HALF.test(name);

/**
 * Makes a file appear whole: it is filled under another name beside its own, brought to disk, and renamed, and then the folder
 * is brought to disk. Whatever fails, the half is removed; a process that dies leaves it under a name that is none.
 */
export async function publish<T>(
  folder: OpenFolder,
  name: string,
  fill: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const half = halfIn(folder);
  try {
    const filled = await fillAndSync(half, fill);
    await rename(half, inside(folder, name));
    await folder.sync();
    return filled;
  } catch (error) {
    await rm(half, { force: true });
    throw error;
  }
}

async function fillAndSync<T>(path: string, fill: (file: FileHandle) => Promise<T>): Promise<T> {
  await using file = await open(path, "wx", 0o644);
  const filled = await fill(file);
  await file.sync();
  return filled;
}
