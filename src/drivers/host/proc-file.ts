import { closeSync, openSync, readSync } from "node:fs";

/** A file of the kernel that is read again and again: opened once, read from its start each time, synchronously (some 5 us). */
export class ProcFile implements Disposable {
  readonly #descriptor: number;
  readonly #buffer: Buffer;
  #isOpen = true;

  /**
   * @param mostBytes how much of it is wanted; the rest is not read.
   * @throws what the kernel says when there is no such file.
   */
  constructor(path: string, mostBytes = 512) {
    this.#descriptor = openSync(path, "r");
    this.#buffer = Buffer.allocUnsafe(mostBytes);
  }

  /** `undefined` when it cannot be read any more, as with a cgroup that has gone. */
  read(): string | undefined {
    if (!this.#isOpen) return undefined;
    try {
      const length = readSync(this.#descriptor, this.#buffer, 0, this.#buffer.length, 0);
      return this.#buffer.toString("latin1", 0, length);
    } catch {
      return undefined;
    }
  }

  [Symbol.dispose](): void {
    if (this.#isOpen) closeSync(this.#descriptor);
    this.#isOpen = false;
  }
}

/** The same, or `undefined` when there is no such file. */
export function openProcFile(path: string, mostBytes?: number): ProcFile | undefined {
  try {
    return new ProcFile(path, mostBytes);
  } catch {
    return undefined;
  }
}
