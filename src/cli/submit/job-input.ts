import { openAsBlob, statSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ArchiveLimits } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { UsageError } from "../command.ts";

/** What a person's own folder may be: the host that runs the task has stricter limits of its own. */
export const OWN_LIMITS: ArchiveLimits = {
  entries: 1_000_000,
  totalBytes: 256 * 1024 ** 3,
  ratio: 10_000,
  depth: 64,
  nameBytes: 1024,
  deadlineMs: 60 * 60 * 1000,
};

const PARAMETERS_FILE = "input.json";

/** What is sent: the archive, and the parameters as the API wants to see them beforehand. */
export interface JobInput extends AsyncDisposable {
  readonly params: Readonly<Record<string, unknown>>;
  readonly archive: Blob;
}

/**
 * Makes the archive of a task's input: a folder's contents, or an archive as it is, or the parameters alone. Parameters become
 * `input.json`, where scripts look for them.
 *
 * @throws {@link UsageError} for what is no input.
 */
export async function makeJobInput(
  path: string | undefined,
  params: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<JobInput> {
  const kind = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false });
  if (path !== undefined && kind === undefined) throw new UsageError(`there is no ${path}`);
  if (path !== undefined && kind?.isFile() === true) {
    if (Object.keys(params).length > 0)
      throw new UsageError(
        "an archive is sent as it is; give parameters beside a folder, or in its input.json",
      );
    return { params: {}, archive: await openAsBlob(path), [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  return await packed(path, params, signal);
}

async function packed(
  folder: string | undefined,
  params: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<JobInput> {
  const own = folder === undefined ? undefined : await readParameters(join(folder, PARAMETERS_FILE));
  if (own !== undefined && Object.keys(params).length > 0)
    throw new UsageError(`${PARAMETERS_FILE} in the folder has the parameters; give them one way`);
  const temp = await mkdtemp(join(tmpdir(), "hearth-submit-"));
  const dispose = async (): Promise<void> => await rm(temp, { recursive: true, force: true });
  try {
    const { zipArchiver } = await import("../../std/archive/index.ts");
    const zip = join(temp, "input.zip");
    const extra = own === undefined ? { [PARAMETERS_FILE]: Buffer.from(JSON.stringify(params)) } : {};
    await zipArchiver.pack(folder ?? (await emptyFolder(temp)), zip, OWN_LIMITS, extra, signal);
    return { params: own ?? params, archive: await openAsBlob(zip), [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    if (error instanceof ExecutorError) throw new UsageError(`the folder cannot be sent: ${error.message}`);
    throw error;
  }
}

async function emptyFolder(temp: string): Promise<string> {
  return await mkdtemp(join(temp, "none-"));
}

async function readParameters(file: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const value = parseJson(text);
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new UsageError(`${file} is not a JSON object`);
}

/** `n=3` is a number, `name=x` a text: a value that is JSON counts as such. @throws {@link UsageError} for what has no name. */
export function parseParameters(pairs: readonly string[]): Record<string, unknown> {
  const entries = pairs.map((pair): [string, unknown] => {
    const at = pair.indexOf("=");
    if (at < 1) throw new UsageError(`--param needs name=value, not "${pair}"`);
    const text = pair.slice(at + 1);
    const value = parseJson(text);
    return [pair.slice(0, at), value === undefined ? text : value];
  });
  return Object.fromEntries(entries);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
