import type { FileHandle } from "node:fs/promises";
import { lstat, opendir, rm } from "node:fs/promises";
import { codeOf } from "./failure.ts";
import { inside, openFolder } from "./folders.ts";
import { isHalf } from "./publish.ts";

export interface SweepOptions {
  /** A half that was written to since then may have a living writer, here or on another host. */
  readonly staleAfterMs: number;
  /** So many names are looked at, at most. */
  readonly maxNames: number;
  readonly nowMs: () => number;
}

/** Removes what writers that died left under names that are none. Returns how many there were. */
export async function sweep(root: FileHandle, options: SweepOptions, signal: AbortSignal): Promise<number> {
  const seen = { names: 0, removed: 0 };
  await sweepFolder(root, [], options, seen, signal);
  return seen.removed;
}

async function sweepFolder(
  root: FileHandle,
  segments: readonly string[],
  options: SweepOptions,
  seen: { names: number; removed: number },
  signal: AbortSignal,
): Promise<void> {
  const folders: string[] = [];
  try {
    await using folder = await openFolder(root, segments, false);
    for await (const entry of await opendir(inside(folder, "."))) {
      signal.throwIfAborted();
      if ((seen.names += 1) > options.maxNames) return;
      if (entry.isDirectory()) folders.push(entry.name);
      else if (entry.isFile() && isHalf(entry.name) && (await isStale(folder, entry.name, options))) {
        await rm(inside(folder, entry.name), { force: true });
        seen.removed += 1;
      }
    }
  } catch (error) {
    // A folder that has gone, or that is not ours to read, holds nothing that we left.
    if (!["ENOENT", "ENOTDIR", "EACCES", "EPERM", "EROFS"].includes(codeOf(error))) throw error;
  }
  for (const name of folders) await sweepFolder(root, [...segments, name], options, seen, signal);
}

async function isStale(folder: FileHandle, name: string, options: SweepOptions): Promise<boolean> {
  const { mtimeMs } = await lstat(inside(folder, name));
  return options.nowMs() - mtimeMs >= options.staleAfterMs;
}
