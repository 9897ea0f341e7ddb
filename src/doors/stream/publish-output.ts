import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { OUTPUT_FILE } from "../../contract/executer-tracker/index.ts";
import type { ArchiveLimits, Archiver, ArtifactStore, WrittenArtifact } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { retry } from "../../std/index.ts";
import type { JobFolders } from "./work-folders.ts";
import { isPlainFolder } from "./work-folders.ts";

const RETRY = { firstMs: 1_000, maxMs: 30_000 } as const;

/** Of earlier attempts, at most. */
const LOSERS_SWEPT = 16;

/** What clients look for in every result (section 5.5), whether the script has written it or not. */
const ALWAYS: Readonly<Record<string, Uint8Array>> = {
  "artifacts/": new Uint8Array(),
  "output.json": Buffer.from("[]"),
};

/** Packs what a job left in `output/` into its scratch folder. @returns the archive's path and size. */
export async function packOutput(
  archiver: Archiver,
  { workDir, scratch }: JobFolders,
  printed: Readonly<Record<string, Uint8Array>>,
  limits: ArchiveLimits,
  signal: AbortSignal,
): Promise<{ readonly path: string; readonly bytes: number }> {
  const written = join(workDir.localPath, "output");
  const nothing = join(scratch, "nothing");
  const hasOutput = await isPlainFolder(written);
  if (!hasOutput) await mkdir(nothing, { recursive: true });
  const path = join(scratch, OUTPUT_FILE);
  await archiver.pack(hasOutput ? written : nothing, path, limits, { ...printed, ...ALWAYS }, signal);
  return { path, bytes: (await stat(path)).size };
}

/** The result of a job whose command never ran: what clients look for in every one, and nothing else. @returns the archive's path. */
export async function packNothing(
  archiver: Archiver,
  scratch: string,
  limits: ArchiveLimits,
  signal: AbortSignal,
): Promise<string> {
  const path = join(scratch, OUTPUT_FILE);
  // No such folder: it is empty.
  await archiver.pack(join(scratch, "nothing"), path, limits, ALWAYS, signal);
  return path;
}

export interface Publishing {
  readonly store: ArtifactStore;
  readonly taskDir: string;
  readonly attempt: number;
  /** How long it is tried. */
  readonly patienceMs: number;
  /** Whether this host still holds the job, asked of the queue. */
  isHeld(): Promise<boolean>;
  readonly signal: AbortSignal;
}

/**
 * Puts a result where clients read it. It travels under a name of its own, which takes long; only then, and only while the job
 * is this host's, does it take the name that all attempts share, so that a host that has lost its job does not cover the result
 * of the one that has it now.
 *
 * @returns `undefined` when the job is not held any more.
 */
export async function publishOutput(
  path: string,
  publishing: Publishing,
): Promise<WrittenArtifact | undefined> {
  const { store, taskDir, attempt, patienceMs, isHeld, signal } = publishing;
  const own = `${taskDir}/${OUTPUT_FILE}.${attempt}`;
  const untilMs = performance.now() + patienceMs;
  const isWorthRetrying = (error: unknown): boolean => mayPass(error) && performance.now() < untilMs;
  const again = { ...RETRY, tries: Number.POSITIVE_INFINITY, signal, isWorthRetrying };
  const written = await retry(again, async () => await store.upload(own, path, signal));
  if (!(await isHeld())) {
    await store.remove(own, signal).catch(() => undefined);
    return undefined;
  }
  await retry(again, async () => await store.move(own, `${taskDir}/${OUTPUT_FILE}`, signal));
  await sweepLosers(publishing);
  return written;
}

/** What earlier attempts left on their way: their hosts died, or lost the job, before they could take it away themselves. */
async function sweepLosers({ store, taskDir, attempt, signal }: Publishing): Promise<void> {
  const earlier = Array.from(
    { length: Math.min(attempt - 1, LOSERS_SWEPT) },
    (_, back) => attempt - 1 - back,
  );
  // A store that will not remove one is left with a file too many, which is no reason to fail the job.
  await Promise.all(
    earlier.map((at) => store.remove(`${taskDir}/${OUTPUT_FILE}.${at}`, signal).catch(() => undefined)),
  );
}

/** A store whose credentials are being renewed denies for a while; a full one may be emptied. */
function mayPass(error: unknown): boolean {
  if (!(error instanceof ExecutorError)) return false;
  return error.spec.retry === "later" || error.code === "ARTIFACT_STORE_DENIED";
}
