import { randomBytes } from "node:crypto";
import type { Dirent } from "node:fs";
import { readdir, rename, rm, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Looks } from "../../std/files/index.ts";
import { looksLater } from "../../std/files/index.ts";

/** More are not tried the short way: whoever leaves many files leaves folders, too. */
const FLAT_NAMES = 16;
/** Below half of what Linux takes as a path (`PATH_MAX`, 4096), so that any name still fits behind it. */
const DEEP_BYTES = 2000;

/**
 * Removes a folder and all that is in it; no error if it is not there. Most are small and flat, and take one step for each file
 * and one for the folder, far less than Node's own way takes; that one does the rest. No link is followed. Folders may lie deeper
 * than a path can name.
 *
 * @param looks how to look at it.
 * @throws what the file system says.
 */
export async function removeFolder(path: string, looks: Looks = looksLater): Promise<void> {
  const entries = await flatEntries(path, looks);
  if (entries === "nothing") return;
  if (entries !== undefined && (await isGone(path, entries))) return;
  try {
    await removeAll(path);
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== "ENAMETOOLONG") throw error;
    await bringUp(path);
    await removeAll(path);
  }
}

async function removeAll(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 3 });
}

/** Moves folders whose paths become too long to the top, so that everything in them can be named. */
async function bringUp(top: string): Promise<void> {
  const folders = [top];
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    let here = next;
    if (Buffer.byteLength(here) > Buffer.byteLength(top) + DEEP_BYTES) {
      here = join(top, randomBytes(8).toString("hex"));
      await rename(next, here);
    }
    for (const entry of await readdir(here, { withFileTypes: true }))
      if (entry.isDirectory()) folders.push(join(here, entry.name));
  }
}

/** What is in it, if it is a folder of a few files. */
async function flatEntries(path: string, looks: Looks): Promise<readonly Dirent[] | "nothing" | undefined> {
  try {
    const stats = await looks.statsOf(path);
    if (stats === undefined) return "nothing";
    if (!stats.isDirectory()) return undefined;
    const entries = await looks.entries(path, FLAT_NAMES);
    return entries?.some((entry) => entry.isDirectory()) === true ? undefined : entries;
  } catch {
    return undefined; // whatever it is, the long way meets it too, and says so
  }
}

async function isGone(path: string, entries: readonly Dirent[]): Promise<boolean> {
  try {
    for (const { name } of entries) await unlink(join(path, name));
    await rmdir(path);
    return true;
  } catch {
    return false; // it is not alone with it, or may not: the long way tries again, and says why
  }
}
