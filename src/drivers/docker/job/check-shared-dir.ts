import type { WorkDir } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { seesMarker } from "../../../std/index.ts";
import { EngineError, isMissing, toExecutorError } from "../engine/engine-error.ts";
import { ensurePauseImage } from "../network/pause-image.ts";
import type { HelperWorld } from "./run-helper.ts";
import { withHelper } from "./run-helper.ts";
import { HELPER_TARGET } from "./work-files.ts";

const DEADLINE_MS = 30_000;
const MARKER_BYTES = 16_384;

/**
 * Mounts the folder by the engine's name for it into a container that is never started, and reads a marker file back out of it.
 *
 * @throws {@link ExecutorError} CONFIG_INVALID with the reason; ENGINE_UNAVAILABLE; the signal's reason.
 */
export async function checkSharedDir(
  world: HelperWorld,
  { localPath, hostPath }: Pick<WorkDir, "localPath" | "hostPath">,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  try {
    const image = await ensurePauseImage(world.engine, signal);
    const wish = { image, command: ["/pause"], hostPath, mayWrite: false } as const;
    const isSame = await seesMarker(localPath, (name, text) =>
      withHelper(world, wish, DEADLINE_MS, signal, (helper, within) =>
        holds(world, helper.containerId, name, text, within),
      ),
    );
    if (!isSame) throw unlike(localPath, hostPath);
  } catch (thrown) {
    signal.throwIfAborted();
    throw isRefusal(thrown) ? unlike(localPath, hostPath, thrown) : toExecutorError(thrown);
  }
}

async function holds(
  { engine }: HelperWorld,
  containerId: string,
  name: string,
  text: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const path = `${HELPER_TARGET}/${name}`;
    const archive = await engine.containers.readArchive(containerId, path, MARKER_BYTES, { signal });
    return archive.includes(text);
  } catch (thrown) {
    if (isMissing(thrown)) return false;
    throw thrown;
  }
}

/** What an engine says about a folder that it does not find, and about a path that is none. */
function isRefusal(thrown: unknown): thrown is EngineError {
  return thrown instanceof EngineError && thrown.verb === "create" && thrown.status === 400;
}

function unlike(localPath: string, hostPath: string, thrown?: EngineError): ExecutorError {
  const said = thrown === undefined ? "" : ` (${thrown.reason})`;
  const reason = `the shared folder ${localPath} is not what the engine's host has at ${hostPath}${said}`;
  return new ExecutorError("CONFIG_INVALID", { reason }, { cause: thrown });
}
