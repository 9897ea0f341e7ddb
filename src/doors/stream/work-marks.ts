import { mkdir, readdir, symlink, unlink } from "node:fs/promises";
import { join } from "node:path";
import { isSafeSegment } from "../../core/index.ts";
import type { JobStop } from "../../engine/jobs/jobs.ts";
import type { Looks } from "../../std/files/index.ts";
import { removeFolder } from "./remove-folder.ts";

/** Behind a job's id; no id has one. */
const BEHIND = "@";
const SCRATCH = "files";
const STOPPED = "stopped-by-";
/** Where a mark leads: nowhere. */
const NOWHERE = "a-job-of-this-host";
const STOPS: readonly JobStop[] = ["killed", "disk", "time", "drain"];

/**
 * What says that a work folder is ours, so that a crash leaves no stray: for each job a link that leads nowhere, in a folder of
 * this daemon's own, which is called as the job is. A job that needs files of its own on their way in or out has `<job id>@files`
 * there, too, and one that was asked to end `<job id>@stopped-by-<why>`. A link is made and removed in a step each, and takes the disk a tenth of the time that a folder takes.
 */
export class WorkMarks {
  readonly #folder: string;
  /** The names that each job has there. */
  readonly #known = new Map<string, Set<string>>();
  readonly #stops = new Map<string, JobStop>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Whether anything of a job is ours. */
  has(jobId: string): boolean {
    return this.#known.has(jobId);
  }

  /** Whether its work folder is ours: that somebody wants it ended does not make it so. */
  hasFolder(jobId: string): boolean {
    return [...(this.#known.get(jobId) ?? [])].some((name) => !name.includes(`${BEHIND}${STOPPED}`));
  }

  scratchOf(jobId: string): string {
    return join(this.#folder, `${jobId}${BEHIND}${SCRATCH}`);
  }

  /** Marks a job that has no mark. */
  async put(jobId: string): Promise<void> {
    await this.#link(jobId, jobId);
  }

  /** Marks a job that is asked to end. */
  async putStop(jobId: string, by: JobStop): Promise<void> {
    try {
      await this.#link(jobId, `${jobId}${BEHIND}${STOPPED}${by}`);
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
  }

  /** Why an earlier life asked a job to end; of several reasons a kill. Known once {@link read} has been called, and told once. */
  takeStop(jobId: string): JobStop | undefined {
    const by = this.#stops.get(jobId);
    this.#stops.delete(jobId);
    return by;
  }

  /** Makes the folder for a job's files on their way, ours alone; one that is there is good. It is a mark by itself. */
  async putScratch(jobId: string): Promise<void> {
    this.#add(jobId, `${jobId}${BEHIND}${SCRATCH}`);
    const path = this.scratchOf(jobId);
    try {
      await mkdir(path, { mode: 0o700 });
    } catch (error) {
      if (codeOf(error) !== "EEXIST") await mkdir(path, { recursive: true, mode: 0o700 });
    }
  }

  /** Takes away all that a job has here: what else it had has gone. */
  async remove(jobId: string, looks: Looks): Promise<void> {
    const names = this.#known.get(jobId) ?? [];
    this.#known.delete(jobId);
    for (const name of names) await this.#removeOne(jobId, join(this.#folder, name), looks);
  }

  /** Reads what earlier lives left. @returns the jobs that it belongs to. */
  async read(): Promise<readonly string[]> {
    for (const name of await readdir(this.#folder).catch(() => [])) {
      const [jobId = ""] = name.split(BEHIND);
      if (!isSafeSegment(jobId)) continue;
      this.#add(jobId, name);
      const by = STOPS.find((stop) => name === `${jobId}${BEHIND}${STOPPED}${stop}`);
      if (by !== undefined && this.#stops.get(jobId) !== "killed") this.#stops.set(jobId, by);
    }
    return [...this.#known.keys()];
  }

  async #link(jobId: string, name: string): Promise<void> {
    this.#add(jobId, name);
    const path = join(this.#folder, name);
    try {
      await symlink(NOWHERE, path);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await symlink(NOWHERE, path);
    }
  }

  #add(jobId: string, name: string): void {
    const names = this.#known.get(jobId);
    if (names === undefined) this.#known.set(jobId, new Set([name]));
    else names.add(name);
  }

  async #removeOne(jobId: string, path: string, looks: Looks): Promise<void> {
    if (path === this.scratchOf(jobId)) {
      await removeFolder(path, looks);
      return;
    }
    try {
      await unlink(path);
    } catch {
      // A folder, as older releases have made them.
      await removeFolder(path, looks);
    }
  }
}

function codeOf(error: unknown): unknown {
  return (error as { readonly code?: unknown }).code;
}
