import type { ArtifactKey } from "../../core/index.ts";
import { ExecutorError, isSafeKey } from "../../core/index.ts";

const SHOWN_CHARACTERS = 200;

/**
 * The segments of a key, before anything is built of it.
 *
 * @throws {@link ExecutorError} ARTIFACT_KEY_INVALID.
 */
export function segmentsOf(key: ArtifactKey): readonly string[] {
  if (isSafeKey(key)) return key.split("/");
  const shown = key.length > SHOWN_CHARACTERS ? `${key.slice(0, SHOWN_CHARACTERS)}…` : key;
  throw new ExecutorError("ARTIFACT_KEY_INVALID", { key: JSON.stringify(shown).slice(1, -1) });
}
