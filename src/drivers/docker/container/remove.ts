import { retry } from "../../../std/index.ts";
import type { Engine } from "../engine/engine.ts";
import { isBusy, isMissing } from "../engine/engine-error.ts";

const TRIES = 8;

/**
 * Kills and removes a container, by its id or name. Resolves when the engine no longer knows it; one that never was is fine.
 * Cleanup, so it takes no signal: its own tries bound it to some 15 s on an engine that answers.
 *
 * @throws EngineError or {@link ExecutorError} ENGINE_UNAVAILABLE when the engine would not remove it.
 */
export async function removeContainer(engine: Engine, idOrName: string): Promise<void> {
  const never = new AbortController().signal;
  await retry(
    { tries: TRIES, firstMs: 30, maxMs: 4000, signal: never, isWorthRetrying: isBusy },
    async () => {
      try {
        await engine.containers.remove(idOrName);
      } catch (thrown) {
        if (!isMissing(thrown)) throw thrown;
      }
    },
  );
}
