import { randomUUID } from "node:crypto";
import { chmod, mkdir, open, readdir, rename, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ArchiveLimits } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { openBudget } from "./budget.ts";
import { archiveFailure } from "./failure.ts";
import type { OpenArchive } from "./read-archive.ts";
import { openArchive } from "./read-archive.ts";

/** What an archive says of modes is not taken over: nothing in it is executable, set-user-id or secret from its reader. */
const FILE_MODE = 0o644;
const FOLDER_MODE = 0o755;

/** See `Archiver.unpack`. All of it is written into a folder of its own first, and moved up once it is whole and right. */
export async function unpack(
  zipPath: string,
  intoDir: string,
  limits: ArchiveLimits,
  signal: AbortSignal,
): Promise<void> {
  if ((await readdir(intoDir)).length > 0) throw new Error(`the folder ${intoDir} is not empty`);
  try {
    await using archive = await openArchive(zipPath, limits, signal);
    await archive.checkPlaces(signal);
    const half = join(intoDir, `.unpacking-${randomUUID()}`);
    await mkdir(half, { mode: 0o700 });
    await writeMembers(archive, half, limits, signal);
    if (!(await archive.isUnchanged()))
      throw new ExecutorError("ARCHIVE_INVALID", { reason: "it changed while it was read" });
    for (const name of await readdir(half)) await rename(join(half, name), join(intoDir, name));
    await rmdir(half);
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
  root: string,
  limits: ArchiveLimits,
  signal: AbortSignal,
): Promise<void> {
  const budget = openBudget(limits, archive.bytes);
  const made = new Set<string>([root]);
  for (const member of archive.members) {
    signal.throwIfAborted();
    const path = join(root, ...member.segments);
    if (member.isFolder) {
      await makeFolder(path, made);
    } else {
      await makeFolder(dirname(path), made);
      await writeFile(path, archive.contents(member, budget, signal));
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

async function writeFile(path: string, contents: AsyncIterable<Uint8Array>): Promise<void> {
  await using file = await open(path, "wx", FILE_MODE);
  await file.chmod(FILE_MODE);
  for await (const chunk of contents) await file.writeFile(chunk);
}
