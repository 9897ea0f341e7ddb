import { ExecutorError } from "../../../core/index.ts";

/** What we speak: every field that the driver sends or reads is there in all versions between these two. */
export const OLDEST_API = "1.41";
export const NEWEST_API = "1.52";

/** What an engine says about itself. */
export interface EngineVersions {
  readonly engine: string;
  readonly api: string;
  readonly oldestApi: string;
}

/**
 * Picks the API version to speak: the oldest that both sides know, because that is the one whose behaviour is tested.
 *
 * @throws {@link ExecutorError} ENGINE_UNAVAILABLE that names both sides' versions if they have none in common.
 */
export function negotiateApi({ engine, api, oldestApi }: EngineVersions): string {
  const chosen = compare(oldestApi, OLDEST_API) > 0 ? oldestApi : OLDEST_API;
  if (compare(chosen, api) <= 0 && compare(chosen, NEWEST_API) <= 0) return chosen;
  throw new ExecutorError("ENGINE_UNAVAILABLE", {
    reason:
      `the engine (${engine}) speaks API ${oldestApi} to ${api}, ` +
      `this driver speaks ${OLDEST_API} to ${NEWEST_API}`,
  });
}

function compare(a: string, b: string): number {
  const [aMajor = 0, aMinor = 0] = a.split(".").map(Number);
  const [bMajor = 0, bMinor = 0] = b.split(".").map(Number);
  return aMajor - bMajor || aMinor - bMinor;
}
