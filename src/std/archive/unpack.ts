import { chmod, mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { ArchiveLimits } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { Looks } from "../files/index.ts";
import { keepMode, openNew, writeAll } from "../files/index.ts";
import { openBudget } from "./budget.ts";
import { archiveFailure } from "./failure.ts";
import type { OpenArchive } from "./read-archive.ts";
import { openArchive } from "./read-archive.ts";

/** What an archive says of modes is not taken over: nothing in it is executable, set-user-id or secret from its reader. */
const FILE_MODE = 0o644;
const FOLDER_MODE = 0o755;

/**
 * See `Archiver.unpack`. The folder is filled where it is: it must be its owner's alone until then, so
 * that nobody sees a part or puts a link in the way.
 */
export async function unpack(
  zip: string | Uint8Array,
  intoDir: string,
  limits: ArchiveLimits,
  looks: Looks,
  signal: AbortSignal,
): Promise<void> {
  const isEmpty = (await looks.entries(intoDir, 0)) !== undefined;
  if (!isEmpty) throw new Error(`the folder ${intoDir} is not empty`);
  try {
    await using archive = await openArchive(zip, limits, signal);
    await archive.checkPlaces(signal);
    await writeMembers(archive, intoDir, limits, looks, signal);
    if (!(await archive.isUnchanged()))
      throw new ExecutorError("ARCHIVE_INVALID", { reason: "it changed while it was read" });
  } catch (error) {
    await empty(intoDir);
    throw archiveFailure(error, signal);
  }
}

async function empty(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true, force: true });
}

async function writeMembers(
  archive: OpenArchive,
  intoDir: string,
  limits: ArchiveLimits,
  looks: Looks,
  signal: AbortSignal,
): Promise<void> {
  const budget = openBudget(limits, archive.bytes);
  const root = resolve(intoDir);
  const made = new Set<string>([root]);
  for (const member of archive.members) {
    signal.throwIfAborted();
    const path = join(root, ...member.segments);
    if (member.isFolder) {
      await makeFolder(path, made);
    } else {
      await makeFolder(dirname(path), made);
      await writeFile(path, archive.contents(member, budget, signal), looks);
    }
  }
}

async function makeFolder(path: string, made: Set<string>): Promise<void> {
  if (made.has(path)) return;
  await makeFolder(dirname(path), made);
  await mkdir(path);
  // Beside `mkdir`'s own mode, which the process's umask cuts.
  await chmod(path, FOLDER_MODE);
  made.add(path);
}

async function writeFile(path: string, contents: AsyncIterable<Uint8Array>, looks: Looks): Promise<void> {
  const fd = await openNew(path, FILE_MODE);
  try {
    await keepMode(fd, FILE_MODE, looks);
    for await (const chunk of contents) await writeAll(fd, chunk);
  } finally {
    await looks.close(fd);
  }
}
