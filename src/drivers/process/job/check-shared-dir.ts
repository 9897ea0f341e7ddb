import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { WorkDir } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { seesMarker } from "../../../std/index.ts";

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
  const isSame = await seesMarker(
    localPath,
    async (name, text) => (await readText(join(hostPath, name))) === text,
  );
  if (isSame) return;
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
