import type { Dirent, Stats } from "node:fs";
import { lstat, opendir } from "node:fs/promises";
import { join } from "node:path";

/** What `st_blocks` counts in, whatever the file system's own blocks are (POSIX: `sys/stat.h`). */
const BLOCK_BYTES = 512;
/** So many files are asked about before somebody else has a turn. */
const AT_ONCE = 32;

/**
 * How much disk a folder and all that is in it takes: blocks, so that a file with holes counts for what it fills, and a file with
 * several names once. What goes while it is looked at, or may not be seen, counts nothing. Links are not followed. Never rejects.
 *
 * @param entryBytes what each file and folder counts at least, where the file system is short of places for them.
 * @returns `Infinity` when folders lie deeper than a path can name: nobody can say what is in them.
 */
export async function folderBytes(folder: string, signal: AbortSignal, entryBytes = 0): Promise<number> {
  const seen = new Set<string>();
  const folders = [folder];
  let bytes = 0;
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    const here = next;
    for await (const entries of batches(here)) {
      if (signal.aborted) return bytes;
      const stats = await Promise.all(
        entries.map(async ({ name }) => await lstat(join(here, name)).catch(whatCannotBeSeen)),
      );
      for (const [at, one] of stats.entries()) {
        if (one === "too deep") return Number.POSITIVE_INFINITY;
        if (one === undefined || !isNew(one, seen)) continue;
        bytes += Math.max(one.blocks * BLOCK_BYTES, entryBytes);
        if (one.isDirectory()) folders.push(join(here, entries[at]?.name ?? ""));
      }
    }
  }
  return bytes;
}

function whatCannotBeSeen(error: unknown): "too deep" | undefined {
  return (error as { readonly code?: unknown }).code === "ENAMETOOLONG" ? "too deep" : undefined;
}

function isNew(one: Stats, seen: Set<string>): boolean {
  if (one.isDirectory() || one.nlink === 1) return true;
  const inode = `${one.dev}:${one.ino}`;
  if (seen.has(inode)) return false;
  seen.add(inode);
  return true;
}

async function* batches(folder: string): AsyncGenerator<readonly Dirent[], void, undefined> {
  let batch: Dirent[] = [];
  try {
    for await (const entry of await opendir(folder)) {
      batch.push(entry);
      if (batch.length < AT_ONCE) continue;
      yield batch;
      batch = [];
    }
  } catch {
    // It went meanwhile, or belongs to a job that locks us out: what was seen so far counts.
  }
  if (batch.length > 0) yield batch;
}
