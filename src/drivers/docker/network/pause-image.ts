import type { Engine } from "../engine/engine.ts";
import type { BuiltInImage } from "../image/built-in-image.ts";
import { builtInImage, ensureBuiltInImage } from "../image/built-in-image.ts";
import { pauseProgram } from "./pause-program.ts";

/**
 * Makes sure that the engine has the image of network sandboxes, from memory and without a registry.
 *
 * @returns a name for it that changes with its content.
 * @throws EngineError or {@link ExecutorError} if the engine cannot take it.
 */
export async function ensurePauseImage(engine: Engine, signal: AbortSignal): Promise<string> {
  return await ensureBuiltInImage(engine, pauseImage(engine.architecture), signal);
}

/** Its bytes depend on the architecture only. */
export function pauseImage(architecture: string): BuiltInImage {
  const file = { path: "pause", content: pauseProgram(architecture), mode: 0o555 };
  return builtInImage("hearth/pause", architecture, [file], "/pause");
}
