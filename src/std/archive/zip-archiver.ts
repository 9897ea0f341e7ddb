import type { ArchiveLimits, Archiver } from "../../core/index.ts";
import { withDeadline } from "../deadline.ts";
import { list } from "./list.ts";
import { pack } from "./pack.ts";
import { pick } from "./pick.ts";
import { unpack } from "./unpack.ts";

/** The archives of jobs, each kept to the time that its limits give. */
export const zipArchiver: Archiver = {
  unpack: (zipPath, intoDir, limits, signal) =>
    inTime(limits, signal, (inner) => unpack(zipPath, intoDir, limits, inner)),
  pack: (dir, zipPath, limits, extra, signal) =>
    inTime(limits, signal, (inner) => pack(dir, zipPath, limits, extra, inner)),
  list: (zipPath, limits, signal) => inTime(limits, signal, (inner) => list(zipPath, limits, inner)),
  pick: (zipPath, names, toZipPath, limits, signal) =>
    inTime(limits, signal, (inner) => pick(zipPath, names, toZipPath, limits, inner)),
};

function inTime<T>(
  limits: ArchiveLimits,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const facts = { reason: "it takes longer than is allowed", limitMs: limits.deadlineMs };
  return withDeadline({ ms: limits.deadlineMs, code: "ARCHIVE_TOO_LARGE", facts, parent: signal }, work);
}
