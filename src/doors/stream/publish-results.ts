import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { RequestEntry } from "../../contract/executer-tracker/index.ts";
import { OUTPUT_FILE } from "../../contract/executer-tracker/index.ts";
import type { ByteSink, WrittenArtifact } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { JobDesk } from "./desk.ts";
import { logClaim } from "./desk.ts";
import type { HeldJob } from "./held-job.ts";
import { packNothing, packOutput } from "./pack-output.ts";
import type { Publishing } from "./publish-output.ts";
import { publishOutput } from "./publish-output.ts";
import { removeFolder } from "./remove-folder.ts";
import { reasonOf } from "./verdict.ts";
import type { JobFolders } from "./work-folders.ts";

const OUTPUT_DIR = "output";
/** What is said when a job's files are more than is packed, or than there is room for. */
const TOO_MUCH: readonly string[] = ["ARCHIVE_TOO_LARGE", "DISK_FULL"];

export interface Results {
  readonly output: (WrittenArtifact & { readonly uri: string }) | undefined;
  /** A sentence: why there are none, or not all. */
  readonly trouble: string | undefined;
}

type Printed = Readonly<Record<string, Uint8Array>>;

/**
 * Publishes what a job left, and what it printed. Files that cannot be packed, since there are too many of them or they have left
 * no room for an archive, and an archive that is more than its store has room for, are left out: what it printed is published all the same. Never throws.
 */
export async function publishResults(
  desk: JobDesk,
  job: HeldJob,
  request: RequestEntry,
  folders: JobFolders,
  printed: Printed,
): Promise<Results> {
  const { archiver, store, settings } = desk.options;
  const { holdSignal: signal } = job;
  const limits = settings.outputLimits;
  const uri = store.uriOf(`${request.task_dir}/${OUTPUT_FILE}`);
  try {
    job.advance("packing");
    await scratchFor(desk, job.claim.jobId);
    const progress = { isPacked: false };
    const publish = async (
      pack: Publishing["pack"],
      patienceMs = settings.uploadPatienceMs,
    ): Promise<Results["output"]> => {
      const onPacked = (): void => {
        progress.isPacked = true;
        job.advance("publishing");
      };
      const own = { pack, onPacked, patienceMs };
      const written = await publishOutput(publishingOf(desk, job, request, folders, own));
      if (written === undefined) job.lose();
      return written && { ...written, uri };
    };
    const pack = async (to: string | ByteSink): Promise<void> =>
      await packOutput(archiver, folders, printed, limits, to, signal);
    try {
      return { output: await publish(makingRoom(folders, pack)), trouble: undefined };
    } catch (error) {
      const { code } = ExecutorError.from(error);
      const isStoreFull = code === "DISK_FULL" && (progress.isPacked || store.stage !== undefined);
      if (!isStoreFull && (progress.isPacked || !TOO_MUCH.includes(code))) throw error;
      logClaim(desk, job, "warn", "claim.troubled", { error, step: job.step });
      await clear(folders, undefined);
      await rm(join(folders.scratch, OUTPUT_FILE), { force: true });
      const packPrinted = async (to: string | ByteSink): Promise<void> =>
        await packNothing(archiver, folders.scratch, limits, to, signal, printed);
      return {
        // A full store has been waited for already.
        output: await publish(packPrinted, isStoreFull ? 0 : undefined),
        trouble: `its results could not be ${isStoreFull ? "stored" : "packed"}: ${reasonOf(error)}`,
      };
    }
  } catch (error) {
    if (!job.isLost) logClaim(desk, job, "error", "claim.troubled", { error, step: job.step });
    return { output: undefined, trouble: `its results could not be stored: ${reasonOf(error)}` };
  }
}

/** An archive that travels to its store is made in a folder of ours; one that is made in its place needs none. */
export async function scratchFor({ folders, options }: JobDesk, jobId: string): Promise<JobFolders> {
  return options.store.stage === undefined ? await folders.ensureScratch(jobId) : folders.of(jobId);
}

function publishingOf(
  desk: JobDesk,
  { claim, holdSignal: signal }: HeldJob,
  { task_dir: taskDir }: RequestEntry,
  { scratch }: JobFolders,
  own: Pick<Publishing, "pack" | "onPacked" | "patienceMs">,
): Publishing {
  const { store } = desk.options;
  return {
    ...own,
    store,
    taskDir,
    attempt: claim.attempt,
    scratch,
    isHeld: async () => (await desk.source.renew([claim])).length === 0,
    signal,
  };
}

/** An archive that is made beside a job's files needs room there: files that are no results give way to it. */
function makingRoom(folders: JobFolders, pack: Publishing["pack"]): Publishing["pack"] {
  return async (to) => {
    try {
      return await pack(to);
    } catch (error) {
      if (typeof to !== "string" || ExecutorError.from(error).code !== "DISK_FULL") throw error;
      await rm(to, { force: true });
      await clear(folders, OUTPUT_DIR);
      return await pack(to);
    }
  };
}

/** Its command has ended: nobody needs its files any more but for its results. */
async function clear({ workDir }: JobFolders, keep: string | undefined): Promise<void> {
  const names = await readdir(workDir.localPath).catch(() => []);
  for (const name of names) if (name !== keep) await removeFolder(join(workDir.localPath, name));
}
