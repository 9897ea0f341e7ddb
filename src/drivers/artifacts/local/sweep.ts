import { lstat, opendir, rm } from "node:fs/promises";
import { sleep } from "../../../std/index.ts";
import { codeOf } from "./failure.ts";
import type { OpenFolder } from "./folders.ts";
import { inside, openFolder } from "./folders.ts";
import { isHalf } from "./publish.ts";

export interface SweepOptions {
  /** A half that was written to since then may have a living writer, here or on another host. */
  readonly staleAfterMs: number;
  /** So many names are looked at, at most. */
  readonly maxNames: number;
  readonly nowMs: () => number;
}

/** At least this long is waited before it is looked again: a clock may be behind that of the files. */
const LEAST_PAUSE_MS = 1_000;

/**
 * Removes what writers that died left under names that are none: now what is stale, and what is young, such as this daemon's own of
 * a moment ago, once it has become stale. Ends when there is none.
 *
 * @throws the signal's reason.
 */
export async function sweepAll(root: OpenFolder, options: SweepOptions, signal: AbortSignal): Promise<void> {
  while ((await sweep(root, options, signal)) > 0) {
    await sleep(Math.max(options.staleAfterMs, LEAST_PAUSE_MS), signal);
  }
}

/** @returns how many may have a living writer. */
async function sweep(root: OpenFolder, options: SweepOptions, signal: AbortSignal): Promise<number> {
  const seen = { names: 0, young: 0 };
  await sweepFolder(root, [], options, seen, signal);
  return seen.young;
}

async function sweepFolder(
  root: OpenFolder,
  segments: readonly string[],
  options: SweepOptions,
  seen: { names: number; young: number },
  signal: AbortSignal,
): Promise<void> {
  const folders: string[] = [];
  try {
    await using folder = await openFolder(root, segments, false);
    for await (const entry of await opendir(inside(folder, "."))) {
      signal.throwIfAborted();
      if ((seen.names += 1) > options.maxNames) return;
      if (entry.isDirectory()) folders.push(entry.name);
      else if (entry.isFile() && isHalf(entry.name)) {
        if (await isStale(folder, entry.name, options)) await rm(inside(folder, entry.name), { force: true });
        else seen.young += 1;
      }
    }
  } catch (error) {
    // A folder that has gone, or that is not ours to read, holds nothing that we left.
    if (!["ENOENT", "ENOTDIR", "EACCES", "EPERM", "EROFS"].includes(codeOf(error))) throw error;
  }
  for (const name of folders) await sweepFolder(root, [...segments, name], options, seen, signal);
}

async function isStale(folder: OpenFolder, name: string, options: SweepOptions): Promise<boolean> {
  const { mtimeMs } = await lstat(inside(folder, name));
  return options.nowMs() - mtimeMs >= options.staleAfterMs;
}
