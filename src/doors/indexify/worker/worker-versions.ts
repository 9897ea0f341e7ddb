import { readdir, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Log } from "../../../core/index.ts";

/** What brings the worker's program. */
export const INSTALL = "pip install tensorlake==0.4.0";
/** The releases that speak its protocol (`contracts/indexify.md` 1.3), as they are told. */
export const SPOKEN = "tensorlake 0.3.7 to 0.4.19";
const FIRST = [0, 3, 7] as const;
const LAST = [0, 4, 19] as const;

/** Whether a worker of this release is understood; of what is no number of a release that cannot be told, and it is. */
export function isSpoken(version: string): boolean {
  const found = /^(\d+)\.(\d+)\.(\d+)/.exec(version);
  if (found === null) return true;
  const numbers = found.slice(1).map(Number);
  return order(numbers, FIRST) >= 0 && order(numbers, LAST) <= 0;
}

function order(left: readonly number[], right: readonly number[]): number {
  const at = right.findIndex((number, index) => number !== left[index]);
  return at === -1 ? 0 : (left[at] ?? 0) - (right[at] ?? 0);
}

/** Tells of releases that are not understood, once of each: their workers start, and then fail whatever they are given. */
export class WorkerVersions {
  readonly #log: Log;
  readonly #told = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** A worker says that it is of this release. */
  note(sdkVersion: string): void {
    if (isSpoken(sdkVersion) || this.#told.has(sdkVersion)) return;
    this.#told.add(sdkVersion);
    this.#log.log("warn", "indexify.worker-version", { sdkVersion, needed: SPOKEN, advice: INSTALL });
  }
}

/** The release that a program belongs to, as `pip` has noted it beside; `undefined` where that cannot be told. Starts nothing. */
export async function installedVersion(program: string): Promise<string | undefined> {
  try {
    const library = join(dirname(dirname(await realpath(program))), "lib");
    const pythons = (await readdir(library)).filter((name) => name.startsWith("python"));
    const packages = pythons.flatMap((name) => [
      join(library, name, "site-packages"),
      join(library, name, "dist-packages"),
    ]);
    const lists = await Promise.all(packages.map((folder) => readdir(folder).catch(() => [])));
    const found = new Set(
      lists.flat().flatMap((name) => /^tensorlake-(.+)\.dist-info$/.exec(name)?.[1] ?? []),
    );
    return found.size === 1 ? [...found][0] : undefined;
  } catch {
    return undefined;
  }
}
