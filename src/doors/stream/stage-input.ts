import { rm } from "node:fs/promises";
import { join } from "node:path";
import { INPUT_FILE } from "../../contract/executer-tracker/index.ts";
import type { ArchiveLimits, Archiver, ArtifactStore, BorrowedArtifact } from "../../core/index.ts";
import type { JobFolders, WorkFolders } from "./work-folders.ts";

export interface Staging {
  readonly store: ArtifactStore;
  readonly archiver: Archiver;
  readonly folders: WorkFolders;
  readonly inputBytes: number;
  readonly inputLimits: ArchiveLimits;
}

/** Makes a job's folder, ours alone until its sandbox has it, and fills it with its input. @returns also how many bytes came. */
export async function stageInput(
  { store, archiver, folders, inputBytes, inputLimits }: Staging,
  jobId: string,
  taskDir: string,
  signal: AbortSignal,
): Promise<JobFolders & { readonly bytes: number }> {
  const made = await folders.make(jobId, store.borrow === undefined);
  const key = `${taskDir}/${INPUT_FILE}`;
  await using zip = await fetchInput(store, key, join(made.scratch, INPUT_FILE), inputBytes, signal);
  await archiver.unpack(zip.whole ?? zip.path, made.workDir.localPath, inputLimits, signal);
  return { ...made, bytes: zip.bytes };
}

/** Where it lies, if that is on this host, else a copy that goes when it has been read. */
async function fetchInput(
  store: ArtifactStore,
  key: string,
  copyPath: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<BorrowedArtifact> {
  if (store.borrow !== undefined) return await store.borrow(key, { maxBytes }, signal);
  const { bytes } = await store.download(key, copyPath, { maxBytes }, signal);
  return { path: copyPath, bytes, [Symbol.asyncDispose]: () => rm(copyPath, { force: true }) };
}
