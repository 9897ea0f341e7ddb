import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { delimiter, isAbsolute } from "node:path";
import { pipeline } from "node:stream/promises";
import { ExecutorError } from "../../../core/index.ts";
import { findTool, isProgram } from "../tools.ts";

/** A program of this host, found. */
export interface WorkerProgram {
  /** Absolute. */
  readonly path: string;
  /** Changes exactly when its file does. */
  readonly digest: string;
}

/**
 * Finds a worker's program by an absolute path, or by its name in a `PATH`.
 *
 * @throws {@link ExecutorError} SANDBOX_START_FAILED.
 */
export async function findProgram(asked: string, path: string): Promise<WorkerProgram> {
  const found = isAbsolute(asked) ? asked : findTool(asked, path.split(delimiter));
  if (asked === "" || found === undefined || !isProgram(found)) {
    const reason = `"${asked}" is no program of this host that can be executed`;
    throw new ExecutorError("SANDBOX_START_FAILED", { image: asked, reason });
  }
  return { path: found, digest: await digestOf(found) };
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    await pipeline(createReadStream(path), hash);
  } catch (error) {
    const reason = "its program cannot be read";
    throw new ExecutorError("SANDBOX_START_FAILED", { image: path, reason }, { cause: error });
  }
  return `sha256:${hash.digest("hex")}`;
}
