import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { mkdir, open } from "node:fs/promises";
import { codeOf } from "./failure.ts";

const AS_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * The path of a name in an open folder. The kernel begins at the folder itself, wherever its own name leads by now: what
 * openat(2) is for, which Node does not have.
 */
export const inside = (folder: FileHandle, name: string): string => `/proc/self/fd/${folder.fd}/${name}`;

/**
 * Opens a folder below another, one segment at a time, and follows no link on the way.
 *
 * @param isMade missing ones are made, each safe on disk before what is put into it.
 */
export async function openFolder(
  root: FileHandle,
  segments: readonly string[],
  isMade: boolean,
): Promise<FileHandle> {
  let folder = await open(inside(root, "."), constants.O_RDONLY | constants.O_DIRECTORY);
  for (const segment of segments) {
    const above = folder;
    try {
      folder = await openNext(above, segment, isMade);
    } finally {
      await above.close();
    }
  }
  return folder;
}

async function openNext(above: FileHandle, segment: string, isMade: boolean): Promise<FileHandle> {
  try {
    return await open(inside(above, segment), AS_FOLDER);
  } catch (error) {
    if (!isMade || codeOf(error) !== "ENOENT") throw error;
  }
  try {
    await mkdir(inside(above, segment));
    await above.sync();
  } catch (error) {
    // Another writer was quicker.
    if (codeOf(error) !== "EEXIST") throw error;
  }
  return open(inside(above, segment), AS_FOLDER);
}
