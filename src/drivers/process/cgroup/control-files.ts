import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmdirSync,
  writeSync,
} from "node:fs";

/**
 * The few things one does to a cgroup file system. All are synchronous: they end in the kernel, not on a disk, and take
 * microseconds where a promise would take a hundred.
 */
export interface ControlFiles {
  /** `undefined` when there is no such file or it cannot be read. */
  read(path: string): string | undefined;
  /** One write of the whole text; never creates a file. Throws what the kernel says. */
  write(path: string, text: string): void;
  /** Makes a directory and those above it. */
  makeDirectory(path: string): void;
  /** Whether the directory is gone. `false` while the kernel still calls it busy. */
  removeDirectory(path: string): boolean;
  /** Names of the directories inside; none when there is no such directory. */
  directories(path: string): readonly string[];
}

/** Every file is read within one turn, so that one buffer serves all of them. */
const BUFFER = Buffer.allocUnsafeSlow(16_384);

/** Nearly all come in one piece; the kernel's files have no size to ask for first. */
function readAll(file: number): string {
  let text = "";
  for (;;) {
    const length = readSync(file, BUFFER, 0, BUFFER.length, null);
    if (length === 0) return text;
    text += BUFFER.toString("latin1", 0, length);
  }
}

export const controlFiles: ControlFiles = {
  read(path) {
    try {
      const file = openSync(path, constants.O_RDONLY);
      try {
        return readAll(file);
      } finally {
        closeSync(file);
      }
    } catch {
      // Absent controllers are normal; who needs one asks for its presence at the start.
      return undefined;
    }
  },
  write(path, text) {
    const file = openSync(path, constants.O_WRONLY);
    try {
      writeSync(file, text);
    } finally {
      closeSync(file);
    }
  },
  makeDirectory(path) {
    mkdirSync(path, { recursive: true });
  },
  removeDirectory(path) {
    try {
      rmdirSync(path);
      return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "ENOENT";
    }
  },
  directories(path) {
    try {
      const entries = readdirSync(path, { withFileTypes: true });
      return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    } catch {
      return [];
    }
  },
};

/** The first number after `key` at the start of a line, as in `memory.stat`; or the text's only number when no key is given. */
export function numberIn(text: string | undefined, key?: string): number | undefined {
  if (text === undefined) return undefined;
  if (key === undefined) return finite(text.trim());
  for (const line of text.split("\n")) {
    if (line.startsWith(`${key} `)) return finite(line.slice(key.length + 1).trim());
  }
  return undefined;
}

/** Process ids, one a line. */
export function processesIn(text: string | undefined): readonly number[] {
  return (text ?? "").split("\n").filter(Boolean).map(Number).filter(Number.isInteger);
}

function finite(text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) : undefined;
}
