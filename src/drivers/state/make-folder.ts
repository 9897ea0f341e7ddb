import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes a folder and those above it, each for its owner only. (Node's own `recursive` never comes back where a folder exists
 * and nothing can be made in it, as in `/proc`: its answer there is ENOENT, which it takes for a missing parent.)
 *
 * @throws what the system says of the first folder that cannot be made.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
    return;
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    if (code === "EEXIST" && (await stat(path)).isDirectory()) return;
    const parent = dirname(path);
    if (code !== "ENOENT" || parent === path) throw error;
    await makeFolder(parent);
  }
  // Once: if it still cannot be made, no missing parent is the reason.
  await mkdir(path, { mode: 0o700 });
}
