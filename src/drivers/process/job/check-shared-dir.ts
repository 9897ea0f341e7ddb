import { randomBytes } from "node:crypto";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { WorkDir } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";

/**
 * Both names are this process's own, so it looks for itself.
 *
 * @throws {@link ExecutorError} CONFIG_INVALID; the signal's reason.
 */
export async function checkSharedDir(
  { localPath, hostPath }: Pick<WorkDir, "localPath" | "hostPath">,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const text = randomBytes(16).toString("hex");
  const name = `.hearth-marker-${text.slice(0, 12)}`;
  try {
    await writeFile(join(localPath, name), text, { flag: "wx", mode: 0o600 });
  } catch (error) {
    const reason = `nothing can be written to the shared folder ${localPath}`;
    throw new ExecutorError("CONFIG_INVALID", { reason }, { cause: error });
  }
  try {
    if ((await readText(join(hostPath, name))) === text) return;
  } finally {
    await rm(join(localPath, name), { force: true });
  }
  const reason = `the shared folder ${localPath} is not the same as ${hostPath}; the process driver runs jobs on this very host, so both must name one folder`;
  throw new ExecutorError("CONFIG_INVALID", { reason });
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch {
    return undefined;
  }
}
