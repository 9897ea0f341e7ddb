import { createHash } from "node:crypto";
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";

/** A digest of everything in a folder: names, kinds, modes, contents. Two that are equal mean that nothing was touched. */
export async function treeHash(root: string): Promise<string> {
  const hash = createHash("sha256");
  for (const name of (await readdir(root, { recursive: true })).sort()) {
    const path = join(root, name);
    const stats = await lstat(path);
    hash.update(JSON.stringify([name, stats.mode, stats.nlink, stats.size]));
    if (stats.isSymbolicLink()) hash.update(await readlink(path));
    else if (stats.isFile()) hash.update(await readFile(path));
  }
  return hash.digest("hex");
}
