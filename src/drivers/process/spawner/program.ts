import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ExecutorError } from "../../../core/index.ts";
import { SPAWNER_BYTES } from "./bytes.ts";

/** Machines, as Node calls them, and as engines do. */
const MACHINES: Readonly<Record<string, keyof typeof SPAWNER_BYTES>> = { x64: "amd64", arm64: "arm64" };

/** Nobody writes to it, and who runs a task without a uid of its own could otherwise. */
const MODE = 0o555;

/** The program for a machine, as Node calls it; `undefined` where there is none. */
export function spawnerProgram(architecture: string): Buffer | undefined {
  const machine = MACHINES[architecture];
  return machine === undefined ? undefined : Buffer.from(SPAWNER_BYTES[machine], "base64");
}

/**
 * Puts the program into a folder of ours, unless it lies there already.
 *
 * @returns its path.
 * @throws {@link ExecutorError} ENGINE_UNAVAILABLE.
 */
export function writeSpawnerProgram(folder: string): string {
  const content = spawnerProgram(process.arch);
  if (content === undefined) {
    const reason = `there is no program that starts tasks for ${process.arch}`;
    throw new ExecutorError("ENGINE_UNAVAILABLE", { reason });
  }
  const path = join(folder, "spawner");
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (!isThere(path, content)) replace(path, content);
  } catch (error) {
    const reason = `the program that starts tasks cannot be written to ${folder}`;
    throw new ExecutorError("ENGINE_UNAVAILABLE", { reason }, { cause: error });
  }
  return path;
}

function isThere(path: string, content: Buffer): boolean {
  try {
    return readFileSync(path).equals(content) && (statSync(path).mode & 0o777) === MODE;
  } catch {
    return false;
  }
}

/** Another daemon with the same folder may be executing it: a new file, and its name in one step. */
function replace(path: string, content: Buffer): void {
  const fresh = `${path}.${process.pid}`;
  rmSync(fresh, { force: true });
  writeFileSync(fresh, content, { mode: MODE });
  // Whatever the umask.
  chmodSync(fresh, MODE);
  renameSync(fresh, path);
}
