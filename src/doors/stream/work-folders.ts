import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { WorkDir } from "../../core/index.ts";
import { ExecutorError, isSafeSegment } from "../../core/index.ts";
import type { JobStop } from "../../engine/jobs/jobs.ts";
import type { Looks } from "../../std/files/index.ts";
import { looksBelow } from "../../std/files/index.ts";
import type { SharedDir } from "./door-options.ts";
import { removeFolder } from "./remove-folder.ts";
import { WorkMarks } from "./work-marks.ts";

/** No job's id begins with a dot, so that this is nobody's work folder. */
const OWN = ".hearth";

/** The files of one job. */
export interface JobFolders {
  readonly workDir: WorkDir;
  /** Ours alone: archives on their way in and out, where they travel. See {@link WorkFolders.ensureScratch}. */
  readonly scratch: string;
}

/**
 * The folders of jobs under the shared one: `<shared>/<job id>` is what the job sees, what is in `<shared>/.hearth/<owner>` is ours.
 * Several daemons may have one shared folder; each removes only what it has made.
 */
export class WorkFolders {
  readonly #shared: SharedDir;
  readonly #target: string;
  readonly #marks: WorkMarks;
  readonly #looks: Promise<Looks>;

  constructor(shared: SharedDir, ownerId: string, target: string) {
    this.#shared = shared;
    this.#target = target;
    this.#marks = new WorkMarks(join(shared.localPath, OWN, ownerId));
    this.#looks = looksBelow(shared.localPath);
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
      scratch: this.#marks.scratchOf(jobId),
    };
  }

  /**
   * Makes a job's work folder, empty, and ours alone. What an earlier try left is removed first.
   *
   * @param hasScratch whether its scratch folder is needed, too.
   */
  async make(jobId: string, hasScratch = false): Promise<JobFolders> {
    const folders = this.of(jobId);
    await asDiskErrors(async () => {
      if (!this.#marks.has(jobId) && (await this.#makeNew(jobId, folders, hasScratch))) return;
      const looks = await this.#looks;
      await removeFolder(folders.workDir.localPath, looks);
      await this.#marks.remove(jobId, looks);
      await this.#mark(jobId, hasScratch);
      await mkdir(folders.workDir.localPath, { mode: 0o700 });
    });
    return folders;
  }

  async #mark(jobId: string, hasScratch: boolean): Promise<void> {
    if (hasScratch) await this.#marks.putScratch(jobId);
    else await this.#marks.put(jobId);
  }

  /** @returns whether neither folder nor mark was there before, as is the rule. */
  async #makeNew(jobId: string, { workDir }: JobFolders, hasScratch: boolean): Promise<boolean> {
    try {
      await this.#mark(jobId, hasScratch);
      await mkdir(workDir.localPath, { mode: 0o700 });
      return true;
    } catch (error) {
      if ((error as { readonly code?: unknown }).code === "EEXIST") return false;
      throw error;
    }
  }

  /** Makes the scratch folder of a job, whether it has a work folder or not. */
  async ensureScratch(jobId: string): Promise<JobFolders> {
    const folders = this.of(jobId);
    await asDiskErrors(async () => await this.#marks.putScratch(jobId));
    return folders;
  }

  /** Writes down that a job of ours is asked to end, and why. */
  async noteStop(jobId: string, by: JobStop): Promise<void> {
    if (isSafeSegment(jobId)) await this.#marks.putStop(jobId, by);
  }

  /** What an earlier life has written down so; known once {@link sweep} has been called, and told once. */
  takeStop(jobId: string): JobStop | undefined {
    return this.#marks.takeStop(jobId);
  }

  /** The mark goes last: a cut removal is taken up again by the next sweep. What has no mark is not ours. */
  async remove(jobId: string): Promise<void> {
    if (!this.#marks.has(jobId)) return;
    const looks = await this.#looks;
    if (this.#marks.hasFolder(jobId)) await removeFolder(this.of(jobId).workDir.localPath, looks);
    await this.#marks.remove(jobId, looks);
  }

  /** Removes what earlier lives of this daemon left, except of the jobs named. @returns of which jobs. */
  async sweep(keep: ReadonlySet<string>): Promise<readonly string[]> {
    const strays = (await this.#marks.read()).filter((jobId) => !keep.has(jobId));
    for (const jobId of strays) await this.remove(jobId);
    return strays;
  }
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
