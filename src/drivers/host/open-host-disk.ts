import { statfs } from "node:fs/promises";
import type { HostDisk } from "../../core/index.ts";
import { orAbort } from "../../std/index.ts";
import { openDiskSpace } from "./disk-space.ts";

/** A file system that hangs does not keep the daemon from starting. */
const FIRST_LOOK_MS = 5_000;

export interface HostDiskOptions {
  /** How much of a file system of this size jobs are not to have. */
  reserveBytes(totalBytes: number): number;
  nowMs(): number;
}

/**
 * Opens the reading of the file system that a folder lies on. Its size is that at the start: with some, what others write there
 * is taken off it.
 *
 * @returns `undefined` where it does not tell, as some do that are mounted over a network.
 */
export async function openHostDisk(
  folder: string,
  { reserveBytes, nowMs }: HostDiskOptions,
): Promise<HostDisk | undefined> {
  const first = await orAbort(statfs(folder), AbortSignal.timeout(FIRST_LOOK_MS)).catch(() => undefined);
  if (first === undefined || first.blocks === 0) return undefined;
  const { bsize, blocks, bavail } = first;
  const totalBytes = bsize * blocks;
  const read = openDiskSpace(folder, nowMs);
  let lastBytes = bsize * bavail;
  let reservedBytes = 0;
  return {
    totalBytes,
    capacityBytes: Math.max(0, totalBytes - reserveBytes(totalBytes)),
    availableBytes() {
      lastBytes = Math.min(totalBytes, read()?.availableBytes ?? lastBytes);
      return lastBytes;
    },
    reservedBytes: () => reservedBytes,
    book(bytes) {
      let isBooked = true;
      reservedBytes += bytes;
      return () => {
        if (isBooked) reservedBytes -= bytes;
        isBooked = false;
      };
    },
  };
}
