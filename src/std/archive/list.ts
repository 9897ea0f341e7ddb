import type { ArchiveEntry, ArchiveLimits } from "../../core/index.ts";
import { archiveFailure } from "./failure.ts";
import { openArchive } from "./read-archive.ts";

/** See `Archiver.list`. */
export async function list(
  zipPath: string,
  limits: ArchiveLimits,
  signal: AbortSignal,
): Promise<readonly ArchiveEntry[]> {
  try {
    await using archive = await openArchive(zipPath, limits, signal);
    return archive.members.map(({ path, isFolder, entry }) => ({
      name: isFolder ? `${path}/` : path,
      bytes: entry.uncompressedSize,
      compressedBytes: entry.compressedSize,
    }));
  } catch (error) {
    throw archiveFailure(error, signal);
  }
}
