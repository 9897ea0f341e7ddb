import { accessSync, chmodSync, constants, lchownSync, lstatSync, readdirSync } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ExecutorError } from "../../../core/index.ts";
import { ShortTurns } from "../folders/short-turns.ts";

/** The mode of a work folder that belongs to its job. */
const OWN_FOLDER = 0o700;

/**
 * Gives a work folder with all that is in it to a job's uid; links themselves, never what they lead to.
 *
 * @throws {@link ExecutorError} SANDBOX_START_FAILED.
 */
export async function giveFolder(folder: string, uid: number): Promise<void> {
  try {
    await giveTree(folder, uid, new ShortTurns());
    chmodSync(folder, OWN_FOLDER);
  } catch (error) {
    const reason = "its work folder cannot be given to the user that it runs as";
    throw new ExecutorError("SANDBOX_START_FAILED", { reason }, { cause: error });
  }
}

async function giveTree(path: string, uid: number, turns: ShortTurns): Promise<void> {
  lchownSync(path, uid, uid);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    await turns.pass();
    const inside = join(path, entry.name);
    if (entry.isDirectory()) await giveTree(inside, uid, turns);
    else lchownSync(inside, uid, uid);
  }
}

/**
 * Takes it back: then nobody who gets the same uid later reaches what is in it. The rest needs no change, since who may give a
 * folder away reads and removes everything.
 */
export function takeFolderBack(folder: string): void {
  try {
    lchownSync(folder, process.getuid?.() ?? 0, process.getgid?.() ?? 0);
  } catch {
    // Its owner has removed it meanwhile, and may.
  }
}

/**
 * Whether others than the daemon can reach a folder by its path, as jobs must that have no view of their own.
 *
 * @throws {@link ExecutorError} SANDBOX_START_FAILED that names the first folder which they cannot pass.
 */
export async function refuseHidden(folder: string): Promise<void> {
  for (let parent = dirname(folder); parent !== dirname(parent); parent = dirname(parent)) {
    const { mode } = await stat(parent);
    if ((mode & 0o001) !== 0) continue;
    const reason = `jobs run under a uid of their own here, which may not pass ${parent} to the work folder: run chmod a+x`;
    throw new ExecutorError("SANDBOX_START_FAILED", { reason });
  }
}

/** @throws {@link ExecutorError} SANDBOX_START_FAILED. */
export function refuseMissing(folder: string): void {
  try {
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    if (lstatSync(folder).isDirectory()) return;
  } catch {
    // Told below.
  }
  throw new ExecutorError("SANDBOX_START_FAILED", {
    reason: `there is no work folder at ${folder} that the daemon may use`,
  });
}
