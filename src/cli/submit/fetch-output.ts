import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { JobApiClient } from "../../client/index.ts";
import { HearthError } from "../../client/index.ts";
import { UsageError } from "../command.ts";
import { OWN_LIMITS } from "./job-input.ts";

/** @throws {@link UsageError} for a folder that holds something: results are not mixed with what is there. */
export async function checkIsFree(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return [];
    if (codeOf(error) === "ENOTDIR") throw new UsageError(`${folder} is a file`);
    throw error;
  });
  if (names.length > 0) throw new UsageError(`${folder} is not empty; name another folder with --output`);
}

/** Downloads a task's output and unpacks it. @returns whether there was one: a task that was killed early has none. */
export async function fetchOutput(
  api: JobApiClient,
  id: string,
  folder: string,
  files: readonly string[],
  signal: AbortSignal,
): Promise<boolean> {
  const temp = await mkdtemp(join(tmpdir(), "hearth-output-"));
  try {
    const zip = join(temp, "output.zip");
    const body = await api.output(id, { files, signal });
    await pipeline(Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]), createWriteStream(zip), {
      signal,
    });
    await mkdir(folder, { recursive: true });
    const { zipArchiver } = await import("../../std/archive/index.ts");
    await zipArchiver.unpack(zip, folder, OWN_LIMITS, signal);
    return true;
  } catch (error) {
    if (error instanceof HearthError && error.code === "JOB_NOT_FOUND" && files.length === 0) return false;
    throw error;
  } finally {
    await rm(temp, { recursive: true, force: true });
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
