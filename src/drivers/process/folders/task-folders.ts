import { readdirSync, realpathSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TaskFolder } from "../../../contract/task-folder.ts";
import { parseTaskFolder, TASK_FILE, TASK_ID } from "../../../contract/task-folder.ts";
import { ExecutorError } from "../../../core/index.ts";
import { ShortTurns } from "./short-turns.ts";

/** Folders looked at in one task directory; further ones are not seen. */
const MOST_FOLDERS = 1000;
/** A `task.json` above this is refused unread. */
const MOST_BYTES = 65_536;

export interface FoundTask {
  /** Absolute, without symbolic links. */
  readonly folder: string;
  readonly task: TaskFolder;
}

/**
 * Finds the task folder that an id names. A task directory holds task folders side by side (and may itself be one). An id
 * matches the `id` of a `task.json`, or failing that a folder's name; `:latest` and the name space `hearth/` may be left
 * out on either side, other tags and name spaces may not. Directories are looked through in their order; the first match wins.
 *
 * @throws {@link ExecutorError} IMAGE_NAME_INVALID, TASK_NOT_FOUND, and IMAGE_UNUSABLE for a faulty `task.json`.
 */
export async function findTaskFolder(directories: readonly string[], asked: string): Promise<FoundTask> {
  if (asked.length > 255 || !TASK_ID.test(asked))
    throw new ExecutorError("IMAGE_NAME_INVALID", { image: printable(asked) });
  const wanted = plainId(asked);
  const candidates = (await Promise.all(directories.map(listCandidates))).flat();
  const match =
    candidates.find(({ parsed }) => parsed.isValid && plainId(parsed.task.id) === wanted) ??
    candidates.find(({ name }) => name === wanted);
  if (match === undefined)
    throw new ExecutorError("TASK_NOT_FOUND", { image: asked, taskDirectories: directories });
  const { folder, parsed } = match;
  if (!parsed.isValid) {
    const reason = `${join(folder, TASK_FILE)}: ${parsed.faults.join("; ")}`;
    throw new ExecutorError("IMAGE_UNUSABLE", { image: asked, reason });
  }
  return { folder: realpathSync.native(folder), task: parsed.task };
}

/** A task folder as lists show it, a faulty one with what is wrong with it. */
export interface ListedTask {
  readonly id: string;
  readonly folder: string;
  readonly command: string[];
  readonly problem?: string;
}

/** Every task folder in these directories, in their order. */
export async function listTaskFolders(directories: readonly string[]): Promise<readonly ListedTask[]> {
  const candidates = (await Promise.all(directories.map(listCandidates))).flat();
  return candidates.map(({ folder, name, parsed }) =>
    parsed.isValid
      ? { id: parsed.task.id, folder, command: [...parsed.task.command] }
      : { id: name, folder, command: [], problem: parsed.faults.join("; ") },
  );
}

/** The id without what may be left out. */
export function plainId(id: string): string {
  return id.replace(/^hearth\//, "").replace(/:latest$/, "");
}

interface Candidate {
  readonly folder: string;
  /** The folder's own name. */
  readonly name: string;
  readonly parsed: ReturnType<typeof parseTaskFolder>;
}

/**
 * Those that were read and have not changed since: a file is read and parsed once, not for every start. By path; the oldest go first.
 */
const known = new Map<string, { readonly stamp: string; readonly parsed: Candidate["parsed"] }>();
const MOST_KNOWN = 4 * MOST_FOLDERS;

async function parseFile(path: string): Promise<Candidate["parsed"] | undefined> {
  const facts = orAbsent(() => statSync(path, { bigint: true, throwIfNoEntry: false }));
  if (facts === undefined || !facts.isFile()) return undefined;
  const stamp = `${facts.dev}:${facts.ino}:${facts.size}:${facts.mtimeNs}:${facts.ctimeNs}`;
  const before = known.get(path);
  if (before?.stamp === stamp) return before.parsed;
  // What is too long to be read is parsed as the fault that it is.
  const isTooLong = facts.size > MOST_BYTES;
  const source = isTooLong
    ? `it is above ${MOST_BYTES} bytes`
    : await readFile(path, "utf8").catch(() => undefined);
  if (source === undefined) return undefined;
  const parsed = parseTaskFolder(source);
  known.delete(path);
  known.set(path, { stamp, parsed });
  for (const oldest of known.keys()) if (known.size > MOST_KNOWN) known.delete(oldest);
  return parsed;
}

async function listCandidates(directory: string): Promise<readonly Candidate[]> {
  const names = orAbsent(() => readdirSync(directory));
  const folders = ["", ...(names ?? []).sort().slice(0, MOST_FOLDERS)].map((name) => join(directory, name));
  const candidates: Candidate[] = [];
  const turns = new ShortTurns();
  for (const folder of folders) {
    await turns.pass();
    const parsed = await parseFile(join(folder, TASK_FILE));
    if (parsed === undefined) continue;
    const name = folder.slice(folder.lastIndexOf("/") + 1);
    candidates.push({ folder, name, parsed });
  }
  return candidates;
}

/** A directory or file that is not there, or not ours to read, holds no task. */
function orAbsent<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

function printable(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
