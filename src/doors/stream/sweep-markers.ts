import { lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../core/index.ts";
import { pause } from "../../std/index.ts";

/** Made to see whether a folder is the same under its two names; see `seesMarker`. */
const MARKER = /^\.hearth-marker-[0-9a-f]+$/;
/** One that is younger may be another daemon's, at its check now. */
const MARKER_AGE_MS = 300_000;

/**
 * Removes what checks of the folder's names left that were cut short, by whichever daemon: now what is old, and what is young once
 * it has become old. Ends when none is left, or the signal aborts.
 */
export async function sweepMarkers(
  folder: string,
  clock: Clock,
  signal: AbortSignal,
  ageMs = MARKER_AGE_MS,
): Promise<void> {
  while (!signal.aborted && (await sweepOnce(folder, clock, ageMs)) > 0) await pause(clock, ageMs, signal);
}

/** @returns how many are there still. */
async function sweepOnce(folder: string, clock: Clock, ageMs: number): Promise<number> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => MARKER.test(name));
  let left = 0;
  for (const name of names) {
    const path = join(folder, name);
    const found = await lstat(path).catch(() => undefined);
    if (found === undefined) continue;
    if (clock.wallMs() - found.mtimeMs < ageMs) left += 1;
    else await rm(path, { force: true }).catch(() => undefined); // not ours to remove: it stays
  }
  return left;
}
