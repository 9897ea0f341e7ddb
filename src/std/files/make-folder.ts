import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes a folder and those above it, unless they are there. (Node's own `recursive` never comes back where a folder exists and
 * nothing can be made in it, as in `/proc`: its answer there is ENOENT, which it takes for a missing parent.)
 *
 * @param mode of those that are made; by default for their owner only.
 * @throws what the system says of the first folder that cannot be made.
 */
export async function makeFolder(path: string, mode = 0o700): Promise<void> {
  const missing = await makeOne(path, mode);
  if (missing === undefined) return;
  const parent = dirname(path);
  if (parent === path) throw missing;
  await makeFolder(parent, mode);
  // Once: if it still cannot be made, no missing parent is the reason.
  const still = await makeOne(path, mode);
  if (still !== undefined) throw still;
}

/** @returns the error that a parent which is missing causes, and others as well. */
async function makeOne(path: string, mode: number): Promise<Error | undefined> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return error as Error;
    if (code !== "EEXIST" || !(await stat(path)).isDirectory()) throw error;
  }
  return undefined;
}
