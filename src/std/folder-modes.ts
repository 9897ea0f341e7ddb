import { constants } from "node:fs";
import { access, chmod, lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

const OWNER_ALL = 0o700;
const ALL = 0o777;
const READ_WRITE = 0o666;

/**
 * Lets every user of the host read and write what is below a folder, which must be out of their reach by its parents. Links and
 * what is no file or folder are left as they are.
 *
 * @throws Error what the system says, also when the folder is not there.
 */
export async function openToAll(folder: string): Promise<void> {
  await chmod(folder, ALL);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openToAll(path);
    else if (entry.isFile()) await chmod(path, ((await lstat(path)).mode & ALL) | READ_WRITE);
  }
}

/**
 * Makes what is below a folder readable and removable for this process, as far as it is its own.
 *
 * @returns whether all of it is. A folder that is gone needs nothing.
 */
export async function makeUsable(folder: string): Promise<boolean> {
  if (!(await isUsable(folder, constants.R_OK | constants.W_OK | constants.X_OK, OWNER_ALL))) return false;
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  let areUsable = true;
  for (const entry of entries) {
    const path = join(folder, entry.name);
    const isUsableToo = entry.isDirectory()
      ? await makeUsable(path)
      : !entry.isFile() || (await isUsable(path, constants.R_OK, constants.S_IRUSR));
    areUsable &&= isUsableToo;
  }
  return areUsable;
}

/** Whether it can be used in this way, its mode changed if that is what it takes. */
async function isUsable(path: string, way: number, mode: number): Promise<boolean> {
  try {
    await access(path, way);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return true;
  }
  try {
    await chmod(path, ((await lstat(path)).mode & ALL) | mode);
    await access(path, way);
    return true;
  } catch {
    return false;
  }
}
