import { rm } from "node:fs/promises";
import { join } from "node:path";
import { INPUT_FILE } from "../../contract/executer-tracker/index.ts";
import type { ArchiveLimits, Archiver, ArtifactStore } from "../../core/index.ts";
import type { JobFolders, WorkFolders } from "./work-folders.ts";

export interface Staging {
  readonly store: ArtifactStore;
  readonly archiver: Archiver;
  readonly folders: WorkFolders;
  readonly inputBytes: number;
  readonly inputLimits: ArchiveLimits;
}

/** Makes a job's folder and fills it with its input. @returns also how many bytes came. */
export async function stageInput(
  { store, archiver, folders, inputBytes, inputLimits }: Staging,
  jobId: string,
  taskDir: string,
  signal: AbortSignal,
): Promise<JobFolders & { readonly bytes: number }> {
  const made = await folders.make(jobId);
  const zip = join(made.scratch, INPUT_FILE);
  const { bytes } = await store.download(`${taskDir}/${INPUT_FILE}`, zip, { maxBytes: inputBytes }, signal);
  await archiver.unpack(zip, made.workDir.localPath, inputLimits, signal);
  await rm(zip, { force: true });
  return { ...made, bytes };
}
