import type { ArchiveLimits, Archiver } from "../../core/index.ts";
import { withDeadline } from "../deadline.ts";
import type { Looks } from "../files/index.ts";
import { looksLater } from "../files/index.ts";
import { list } from "./list.ts";
import { pack } from "./pack.ts";
import { pick } from "./pick.ts";
import { unpack } from "./unpack.ts";

/** The archives of jobs, each kept to the time that its limits give. Folders may be on any file system. */
export const zipArchiver: Archiver = zipArchiverBy(looksLater);

/** @param looks how to look at the folders that are packed, and unpacked into. */
export function zipArchiverBy(looks: Looks): Archiver {
  return {
    unpack: (zip, intoDir, limits, signal) =>
      inTime(limits, signal, (inner) => unpack(zip, intoDir, limits, looks, inner)),
    pack: (dir, to, limits, extra, signal) =>
      inTime(limits, signal, (inner) => pack({ dir, looks }, to, limits, extra, inner)),
    list: (zipPath, limits, signal) => inTime(limits, signal, (inner) => list(zipPath, limits, inner)),
    pick: (zipPath, names, toZipPath, limits, signal) =>
      inTime(limits, signal, (inner) => pick(zipPath, names, toZipPath, limits, inner)),
  };
}

function inTime<T>(
  limits: ArchiveLimits,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const facts = { reason: "it takes longer than is allowed", limitMs: limits.deadlineMs };
  return withDeadline({ ms: limits.deadlineMs, code: "ARCHIVE_TOO_LARGE", facts, parent: signal }, work);
}
