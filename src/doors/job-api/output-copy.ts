import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { ExecutorError } from "../../core/index.ts";
import type { ApiParts } from "./api-options.ts";
import { ApiRefusal } from "./api-refusal.ts";

/** Lends an output as a local file, which is gone when `use` is done with it. @throws {@link ApiRefusal} 404 until there is one. */
export async function withOutput<T>(
  { store, limits, tempDir, signal }: ApiParts,
  key: string,
  use: (zipPath: string) => Promise<T>,
): Promise<T> {
  const path = join(tempDir, `${randomUUID()}.zip`);
  try {
    await store.download(key, path, { maxBytes: limits.outputBytes }, signal).catch(noOutputYet);
    return await use(path);
  } finally {
    await rm(path, { force: true });
  }
}

/** Says in the API's words that a task has no output, and throws everything else on. */
export function noOutputYet(error: unknown): never {
  if (ExecutorError.from(error).code !== "ARTIFACT_NOT_FOUND") throw error;
  throw new ApiRefusal(404, "Task output not found", { cause: error });
}
