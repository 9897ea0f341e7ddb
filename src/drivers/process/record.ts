import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { ExecutorError } from "../../core/index.ts";
import { bootId } from "./process-table.ts";

const recordSchema = z.object({
  sandboxId: z.string(),
  owner: z.string(),
  /** Process and start time name one process for ever, within one run of the kernel. */
  bootId: z.string(),
  leader: z.int(),
  startTicks: z.int(),
  mode: z.enum(["call", "job"]).default("call"),
});

/** What the next life needs to know of a running sandbox. */
export type SandboxRecord = z.output<typeof recordSchema>;

const SUFFIX = ".json";

/** One small file for each running sandbox. Files that cannot be read as records are not ours and stay. */
export class SandboxRecords {
  readonly #directory: string;
  readonly #owner: string;
  readonly #bootId = bootId();

  constructor(directory: string, owner: string) {
    this.#directory = directory;
    this.#owner = owner;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  /** @throws {@link ExecutorError} DISK_FULL, ENGINE_FAILED. */
  write(record: Omit<SandboxRecord, "owner" | "bootId">): void {
    try {
      const whole: SandboxRecord = { ...record, owner: this.#owner, bootId: this.#bootId };
      writeFileSync(this.#path(record.sandboxId), JSON.stringify(whole), { mode: 0o600 });
    } catch (error) {
      const isFull = (error as NodeJS.ErrnoException).code === "ENOSPC";
      const reason = "the record of the sandbox could not be written";
      throw new ExecutorError(isFull ? "DISK_FULL" : "ENGINE_FAILED", { reason }, { cause: error });
    }
  }

  remove(sandboxId: string): void {
    rmSync(this.#path(sandboxId), { force: true });
  }

  /** The records of this owner; those of before a reboot are removed, since nothing of them can run. */
  list(): readonly SandboxRecord[] {
    const names = readdirSync(this.#directory).filter((name) => name.endsWith(SUFFIX));
    return names.flatMap((name) => {
      const record = readRecord(join(this.#directory, name));
      if (record?.owner !== this.#owner || `${record.sandboxId}${SUFFIX}` !== name) return [];
      if (record.bootId === this.#bootId) return [record];
      this.remove(record.sandboxId);
      return [];
    });
  }

  #path(sandboxId: string): string {
    return join(this.#directory, `${sandboxId}${SUFFIX}`);
  }
}

function readRecord(path: string): SandboxRecord | undefined {
  try {
    return recordSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    // Cut short by a crash, or somebody else's: the cgroup's name tells what there is to reap.
    return undefined;
  }
}
