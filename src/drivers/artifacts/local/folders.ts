import { constants } from "node:fs";
import { mkdir } from "node:fs/promises";
import type { Looks } from "../../../std/files/index.ts";
import { looksBelow, looksLater, syncFile } from "../../../std/files/index.ts";
import { codeOf } from "./failure.ts";

const IS_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY;
const AS_FOLDER = IS_FOLDER | constants.O_NOFOLLOW;

/** A folder of the store that is open; to be closed once. */
export interface OpenFolder extends AsyncDisposable {
  readonly fd: number;
  /** How to look at what is in it. */
  readonly looks: Looks;
  /** Brings its names to disk. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * The path of a name in an open folder. The kernel begins at the folder itself, wherever its own name leads by now: what
 * openat(2) is for, which Node does not have.
 */
export const inside = ({ fd }: Pick<OpenFolder, "fd">, name: string): string => `/proc/self/fd/${fd}/${name}`;

/** The folder that is the store; its own name may be a link. */
export async function openRootFolder(path: string): Promise<OpenFolder> {
  // Asked of another thread first: nobody knows yet whether the file system answers.
  const fd = await looksLater.open(path, IS_FOLDER);
  return openFolderOf(fd, await looksBelow(`/proc/self/fd/${fd}`));
}

/**
 * Opens a folder below another, one segment at a time, and follows no link on the way.
 *
 * @param isMade missing ones are made, each safe on disk before what is put into it.
 */
export async function openFolder(
  root: OpenFolder,
  segments: readonly string[],
  isMade: boolean,
): Promise<OpenFolder> {
  let folder: OpenFolder | undefined;
  for (const segment of segments) {
    const above = folder;
    try {
      folder = await openNext(above ?? root, segment, isMade);
    } finally {
      await above?.close();
    }
  }
  return folder ?? openFolderOf(await root.looks.open(inside(root, "."), IS_FOLDER), root.looks);
}

function openFolderOf(fd: number, looks: Looks): OpenFolder {
  const close = async (): Promise<void> => {
    await looks.close(fd);
  };
  return { fd, looks, sync: async () => await syncFile(fd), close, [Symbol.asyncDispose]: close };
}

async function openNext(above: OpenFolder, segment: string, isMade: boolean): Promise<OpenFolder> {
  const path = inside(above, segment);
  const { looks } = above;
  try {
    return openFolderOf(await looks.open(path, AS_FOLDER), looks);
  } catch (error) {
    if (!isMade || codeOf(error) !== "ENOENT") throw error;
  }
  try {
    await mkdir(path);
    await above.sync();
  } catch (error) {
    // Another writer was quicker.
    if (codeOf(error) !== "EEXIST") throw error;
  }
  return openFolderOf(await looks.open(path, AS_FOLDER), looks);
}
