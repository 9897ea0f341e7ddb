import { chmod, lstat, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { WorkDir } from "../../core/index.ts";
import { ExecutorError, isSafeSegment } from "../../core/index.ts";
import type { SharedDir } from "./door-options.ts";

/** No job's id begins with a dot, so that this is nobody's work folder. */
const OWN = ".hearth";
const ANNOUNCED = "announced";
/** Made to see whether a folder is the same under its two names. */
const MARKER = /^\.hearth-marker-[0-9a-f]+$/;
const MARKER_AGE_MS = 300_000;
/** A job's program may run as any user, and its folder is all that it can write to. Who may come here is the parent's matter. */
const ANYBODY = 0o777;

/** The files of one job. */
export interface JobFolders {
  readonly workDir: WorkDir;
  /** Ours alone: archives on their way in and out. It also says that the work folder is ours, so that a crash leaves no stray. */
  readonly scratch: string;
}

/**
 * The folders of jobs under the shared one: `<shared>/<job id>` is what the job sees, `<shared>/.hearth/<owner>/<job id>` is ours.
 * Several daemons may have one shared folder; each removes only what it has made.
 */
export class WorkFolders {
  readonly #shared: SharedDir;
  readonly #target: string;
  readonly #own: string;

  constructor(shared: SharedDir, ownerId: string, target: string) {
    this.#shared = shared;
    this.#target = target;
    this.#own = join(shared.localPath, OWN, ownerId);
  }

  /** Where they are, whether they exist or not. */
  of(jobId: string): JobFolders {
    if (!isSafeSegment(jobId))
      throw new ExecutorError("JOB_INVALID", { reason: "its id cannot name a folder" });
    return {
      workDir: {
        localPath: join(this.#shared.localPath, jobId),
        hostPath: join(this.#shared.hostPath, jobId),
        target: this.#target,
      },
      scratch: join(this.#own, jobId),
    };
  }

  /** Makes both, empty. What an earlier try left is removed first. */
  async make(jobId: string): Promise<JobFolders> {
    const folders = this.of(jobId);
    await asDiskErrors(async () => {
      if (!(await this.#makeNew(folders))) {
        await this.remove(jobId);
        await mkdir(folders.scratch, { recursive: true, mode: 0o700 });
        await mkdir(folders.workDir.localPath);
      }
      await chmod(folders.workDir.localPath, ANYBODY);
    });
    return folders;
  }

  /** @returns whether neither was there before, as is the rule. */
  async #makeNew({ scratch, workDir }: JobFolders): Promise<boolean> {
    try {
      await this.#makeScratch(scratch);
      await mkdir(workDir.localPath);
      return true;
    } catch (error) {
      if ((error as { readonly code?: unknown }).code === "EEXIST") return false;
      throw error;
    }
  }

  async #makeScratch(path: string): Promise<void> {
    try {
      await mkdir(path, { mode: 0o700 });
    } catch (error) {
      if ((error as { readonly code?: unknown }).code !== "ENOENT") throw error;
      await mkdir(path, { recursive: true, mode: 0o700 });
    }
  }

  /** The scratch folder of a job that runs already. */
  async ensureScratch(jobId: string): Promise<JobFolders> {
    const folders = this.of(jobId);
    await asDiskErrors(() => mkdir(folders.scratch, { recursive: true, mode: 0o700 }));
    return folders;
  }

  /** Keeps for the next life that the start of an attempt has been told. */
  async noteAnnounced(jobId: string, attempt: number): Promise<void> {
    await writeFile(join(this.of(jobId).scratch, ANNOUNCED), String(attempt)).catch(() => undefined);
  }

  async isAnnounced(jobId: string, attempt: number): Promise<boolean> {
    const told = await readFile(join(this.of(jobId).scratch, ANNOUNCED), "utf8").catch(() => "");
    return told === String(attempt);
  }

  /** The mark goes last: a cut removal is taken up again by the next sweep. */
  async remove(jobId: string): Promise<void> {
    const { workDir, scratch } = this.of(jobId);
    await rm(workDir.localPath, { recursive: true, force: true, maxRetries: 3 });
    await rm(scratch, { recursive: true, force: true, maxRetries: 3 });
  }

  /** Removes what earlier lives of this daemon left, except of the jobs named. @returns of which jobs. */
  async sweep(keep: ReadonlySet<string>): Promise<readonly string[]> {
    const marked = await readdir(this.#own).catch(() => []);
    const strays = marked.filter((jobId) => isSafeSegment(jobId) && !keep.has(jobId));
    for (const jobId of strays) await this.remove(jobId);
    await this.#sweepMarkers();
    return strays;
  }

  /** What a check of the folder's names left when it was cut short. One that is young may be another daemon's, at its check now. */
  async #sweepMarkers(): Promise<void> {
    const names = await readdir(this.#shared.localPath).catch(() => []);
    for (const name of names.filter((one) => MARKER.test(one))) {
      const path = join(this.#shared.localPath, name);
      const { mtimeMs } = await lstat(path).catch(() => ({ mtimeMs: Number.NaN }));
      if (Date.now() - mtimeMs > MARKER_AGE_MS) await rm(path, { force: true });
    }
  }
}

/** Whether it is a folder and no link to one. */
export async function isPlainFolder(path: string): Promise<boolean> {
  return await lstat(path).then(
    (stat) => stat.isDirectory(),
    () => false,
  );
}

async function asDiskErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const { code } = cause as { readonly code?: unknown };
    if (code === "ENOSPC" || code === "EDQUOT") throw new ExecutorError("DISK_FULL", {}, { cause });
    throw cause;
  }
}
