import { statfs } from "node:fs/promises";
import type { DiskSpace } from "../../telemetry/metrics/index.ts";

/** A file system that hangs is asked once; until it answers, what was last known is told. */
const FRESH_MS = 5_000;

/**
 * Reads how full the file system of a folder is. Whoever asks is told at once what is known, and a new look is taken behind
 * its back when that is older than five seconds: nothing is read while nobody asks.
 */
export function openDiskSpace(folder: string, nowMs: () => number): () => DiskSpace | undefined {
  let known: DiskSpace | undefined;
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let isAsking = false;
  const look = async (): Promise<void> => {
    isAsking = true;
    try {
      const { bsize, blocks, bavail } = await statfs(folder);
      known = { totalBytes: bsize * blocks, availableBytes: bsize * bavail };
    } catch {
      // A folder that has gone has no size; the daemon notices that elsewhere.
      known = undefined;
    } finally {
      isAsking = false;
    }
  };
  const read = (): DiskSpace | undefined => {
    if (!isAsking && nowMs() - askedAtMs >= FRESH_MS) {
      askedAtMs = nowMs();
      // It never rejects: a failure is an answer.
      look().catch(() => undefined);
    }
    return known;
  };
  // So that the first to ask is told something.
  read();
  return read;
}
