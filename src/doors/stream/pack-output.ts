import { join } from "node:path";
import type { ArchiveLimits, Archiver, ByteSink } from "../../core/index.ts";
import type { JobFolders } from "./work-folders.ts";

/** What clients look for in every result (section 5.5), whether the script has written it or not. */
const ALWAYS: Readonly<Record<string, Uint8Array>> = {
  "artifacts/": new Uint8Array(),
  "output.json": Buffer.from("[]"),
};

/** Packs what a job left in `output/`; what is no folder there holds nothing. */
export async function packOutput(
  archiver: Archiver,
  { workDir }: Pick<JobFolders, "workDir">,
  printed: Readonly<Record<string, Uint8Array>>,
  limits: ArchiveLimits,
  to: string | ByteSink,
  signal: AbortSignal,
): Promise<void> {
  const dir = join(workDir.localPath, "output");
  await archiver.pack(dir, to, limits, { ...printed, ...ALWAYS }, signal);
}

/** The result of a job without files, as of one whose command never ran: what clients look for in every one, and what it printed. */
export async function packNothing(
  archiver: Archiver,
  scratch: string,
  limits: ArchiveLimits,
  to: string | ByteSink,
  signal: AbortSignal,
  printed: Readonly<Record<string, Uint8Array>> = {},
): Promise<void> {
  // No such folder: it is empty.
  await archiver.pack(join(scratch, "nothing"), to, limits, { ...printed, ...ALWAYS }, signal);
}
