import { closeSync, constants, mkdirSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { ExecutorError } from "../../../core/index.ts";
import { bootId } from "../process-table.ts";

const recordSchema = z.object({
  sandboxId: z.string(),
  /** Process and start time name one process for ever, within one run of the kernel. */
  bootId: z.string(),
  leader: z.int(),
  startTicks: z.int(),
  mode: z.enum(["call", "job"]).default("call"),
});

/** What the next life needs to know of a running sandbox. */
export type SandboxRecord = z.output<typeof recordSchema>;

/** One line, its end included. Eight of them are a page, so that a daemon which is killed has written a line whole or not at all. */
const LINE_BYTES = 512;
const NO_RECORD = `${" ".repeat(LINE_BYTES - 1)}\n`;

/**
 * The running sandboxes of one owner: a file of lines that are all of one length, each a record or blank. One that comes takes a
 * blank line and one that goes leaves it blank: two small writes to a file that is there, where a file for each would be made and
 * removed for every short job. The file is as long as there ever were sandboxes at once. It is never synced: nothing of it counts
 * after a reboot.
 */
export class SandboxRecords {
  readonly #path: string;
  readonly #bootId = bootId();
  readonly #lines = new Map<string, number>();
  #blank: number[] = [];
  #count = 0;

  constructor(directory: string, owner: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#path = join(directory, `${owner}.records`);
    this.list();
  }

  /** @throws {@link ExecutorError} DISK_FULL, ENGINE_FAILED. */
  write(record: Omit<SandboxRecord, "bootId">): void {
    const { sandboxId } = record;
    const line = this.#lines.get(sandboxId) ?? this.#blank.pop() ?? this.#count;
    this.#count = Math.max(this.#count, line + 1);
    this.#lines.set(sandboxId, line);
    try {
      const whole: SandboxRecord = { ...record, bootId: this.#bootId };
      this.#put(line, JSON.stringify(whole));
    } catch (error) {
      this.#lines.delete(sandboxId);
      this.#blank.push(line);
      const isFull = (error as NodeJS.ErrnoException).code === "ENOSPC";
      const reason = "the record of the sandbox could not be written";
      throw new ExecutorError(isFull ? "DISK_FULL" : "ENGINE_FAILED", { reason }, { cause: error });
    }
  }

  /** Does nothing where there is no such record. */
  remove(sandboxId: string): void {
    const line = this.#lines.get(sandboxId);
    if (line === undefined) return;
    this.#blankOut(line, sandboxId);
    this.#lines.delete(sandboxId);
    this.#blank.push(line);
  }

  /** What is recorded of this run of the kernel. The lines of before a reboot are free, since nothing of them can run. */
  list(): readonly SandboxRecord[] {
    const text = readText(this.#path);
    this.#count = Math.ceil(text.length / LINE_BYTES);
    this.#lines.clear();
    this.#blank = [];
    const found: SandboxRecord[] = [];
    for (let line = this.#count - 1; line >= 0; line -= 1) {
      const record = parsed(text.subarray(line * LINE_BYTES, (line + 1) * LINE_BYTES));
      if (record?.bootId === this.#bootId) {
        found.push(record);
        this.#lines.set(record.sandboxId, line);
      } else this.#blank.push(line);
    }
    return found;
  }

  #put(line: number, text: string): void {
    const bytes = Buffer.from(NO_RECORD);
    if (Buffer.byteLength(text) >= LINE_BYTES) throw new RangeError(`a record above ${LINE_BYTES} bytes`);
    bytes.write(text);
    const written = withFile(this.#path, constants.O_WRONLY | constants.O_CREAT, (file) =>
      writeSync(file, bytes, 0, LINE_BYTES, line * LINE_BYTES),
    );
    if (written < LINE_BYTES) throw Object.assign(new Error("half a record"), { code: "ENOSPC" });
  }

  /** Another reader of this file may have blanked the line before, and have given it to another sandbox. */
  #blankOut(line: number, sandboxId: string): void {
    const bytes = Buffer.alloc(LINE_BYTES);
    try {
      withFile(this.#path, constants.O_RDWR, (file) => {
        readSync(file, bytes, 0, LINE_BYTES, line * LINE_BYTES);
        if (bytes.includes(JSON.stringify(sandboxId)))
          writeSync(file, NO_RECORD, line * LINE_BYTES, "latin1");
      });
    } catch (error) {
      // Without its file there is no record either.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}

/** Opened each time: the file may be removed, and who runs on after its driver's end has nothing to close. */
function withFile<T>(path: string, flags: number, use: (file: number) => T): T {
  const file = openSync(path, flags, 0o600);
  try {
    return use(file);
  } finally {
    closeSync(file);
  }
}

function readText(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    // The first life of this owner.
    return Buffer.alloc(0);
  }
}

function parsed(line: Buffer): SandboxRecord | undefined {
  try {
    return recordSchema.parse(JSON.parse(line.toString("utf8")));
  } catch {
    // Blank, or spoilt: the cgroup's name tells what there is to reap.
    return undefined;
  }
}
