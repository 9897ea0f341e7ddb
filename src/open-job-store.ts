import type { Config } from "./config/index.ts";
import type { ArtifactStore } from "./core/index.ts";
import { ExecutorError } from "./core/index.ts";
import { openArtifactStore } from "./drivers/artifacts/index.ts";
import { orAbort, withDeadline } from "./std/index.ts";

const CHECK_MS = 30_000;

/**
 * Opens the store of jobs' inputs and outputs as the settings name it, and asks whether it is there. One that is away may come back:
 * then `onAway` is told, and it is open all the same.
 *
 * @throws {@link ExecutorError} CONFIG_INVALID, ARTIFACT_STORE_DENIED; the signal's reason.
 */
export async function openJobStore(
  stream: Pick<Config["stream"], "artifact_store" | "s3_endpoint" | "s3_region">,
  signal: AbortSignal,
  onAway: (store: string, error: unknown) => void,
): Promise<ArtifactStore> {
  const s3 = {
    ...(stream.s3_endpoint === "" ? {} : { endpoint: stream.s3_endpoint }),
    ...(stream.s3_region === "" ? {} : { region: stream.s3_region }),
  };
  const store = await openArtifactStore(stream.artifact_store, { setting: "stream.artifact_store", s3 });
  try {
    const limit = { ms: CHECK_MS, code: "ARTIFACT_STORE_UNAVAILABLE", parent: signal } as const;
    await withDeadline(limit, (bounded) => orAbort(store.check(bounded), bounded));
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof ExecutorError) || error.spec.retry !== "later") {
      await store[Symbol.asyncDispose]();
      throw error;
    }
    onAway(store.name, error);
  }
  return store;
}
