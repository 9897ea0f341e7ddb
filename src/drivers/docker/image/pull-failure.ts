import { ExecutorError } from "../../../core/index.ts";
import { EngineError } from "../engine/engine-error.ts";

/** A line in a pull's stream that says it failed: the engine's status is 200 by then. */
export class PullStreamError extends Error {
  override readonly name = "PullStreamError";
}

const MISSING = /not found|manifest unknown|name unknown|does not exist|no such image/i;
const NO_HOST =
  /no such host|server misbehaving|dial tcp|connection refused|i\/o timeout|Client\.Timeout|no route to host/i;
const WRONG_PLATFORM = /no matching manifest|does not match the specified platform|no child with platform/i;
const NO_SPACE = /no space left on device|disk quota exceeded/i;

/** Says why an image did not come, in our codes. Errors of ours stay as they are. */
export function pullFailure(image: string, thrown: unknown): ExecutorError {
  if (thrown instanceof ExecutorError) return thrown;
  const status = thrown instanceof EngineError ? thrown.status : 0;
  const reason =
    thrown instanceof EngineError ? thrown.reason : thrown instanceof Error ? thrown.message : String(thrown);
  const options = { cause: thrown };
  if (NO_SPACE.test(reason)) return new ExecutorError("DISK_FULL", { image, reason }, options);
  if (WRONG_PLATFORM.test(reason)) return new ExecutorError("IMAGE_UNUSABLE", { image, reason }, options);
  // A registry that cannot be reached also says "not found" about its host; only then is the image itself unknown.
  if (!NO_HOST.test(reason) && (status === 404 || MISSING.test(reason))) {
    return new ExecutorError("IMAGE_NOT_FOUND", { image, reason }, options);
  }
  return new ExecutorError("IMAGE_PULL_FAILED", { image, reason }, options);
}
