import { ExecutorError } from "../../../core/index.ts";

/** The engine answered, and its answer was no. Never leaves the driver: whoever knows the circumstances translates it. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  readonly verb: string;
  readonly status: number;
  /** The engine's own words. */
  readonly reason: string;

  constructor(verb: string, status: number, reason: string, cause: unknown) {
    super(`${verb} ended with status ${status}: ${reason}`, { cause });
    this.verb = verb;
    this.status = status;
    this.reason = reason;
  }
}

/** The engine was not even asked: nothing will come of it. */
export class NotAsked extends ExecutorError {
  constructor(verb: string, reason: string) {
    super("ENGINE_UNAVAILABLE", { verb, reason });
  }
}

/** What the Docker library throws for a status outside of 2xx. */
interface LibraryError {
  readonly statusCode: number;
  readonly json?: unknown;
  readonly message: string;
}

/**
 * Sorts what a verb threw: the engine's refusal becomes an {@link EngineError}, one of our errors stays as it is, and all
 * else (no socket, a broken connection) means that the engine cannot be reached.
 */
export function toEngineFailure(verb: string, thrown: unknown): Error {
  if (thrown instanceof ExecutorError || thrown instanceof EngineError) return thrown;
  if (isLibraryError(thrown)) return new EngineError(verb, thrown.statusCode, reasonOf(thrown), thrown);
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new ExecutorError("ENGINE_UNAVAILABLE", { verb, reason }, { cause: thrown });
}

/** The last resort for a refusal that no one expected: a full disk by its name, the rest as ENGINE_FAILED. */
export function toExecutorError(thrown: unknown): ExecutorError {
  if (!(thrown instanceof EngineError)) return ExecutorError.from(thrown);
  const { verb, status, reason } = thrown;
  if (isDiskFull(reason)) return new ExecutorError("DISK_FULL", { verb, reason }, { cause: thrown });
  return new ExecutorError("ENGINE_FAILED", { verb, status, reason }, { cause: thrown });
}

/** Whether the thing that was named is not there. */
export function isMissing(thrown: unknown): boolean {
  return thrown instanceof EngineError && thrown.status === 404;
}

/** Whether the same verb may work a moment later: the engine is at it already, or something still holds the thing. */
export function isBusy(thrown: unknown): boolean {
  if (!(thrown instanceof EngineError))
    return thrown instanceof ExecutorError && thrown.spec.retry === "later";
  if (thrown.status === 409) return true;
  return thrown.status >= 500 && !isDiskFull(thrown.reason);
}

/** Whether the engine failed by its own fault, so that asking once more may work. */
export function isStumble(thrown: unknown): boolean {
  return thrown instanceof EngineError && thrown.status >= 500 && !isDiskFull(thrown.reason);
}

/** Whether there is no engine to be reached now; it may come back, and with it what it had. */
export function isAway(thrown: unknown): boolean {
  return thrown instanceof ExecutorError && thrown.code === "ENGINE_UNAVAILABLE";
}

/** Why there was no connection on which anything could have been asked. */
const UNREACHED: readonly unknown[] = [
  ...["ECONNREFUSED", "ENOENT", "EACCES", "EPERM", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"],
];

/** Whether an engine that gave no answer may have done, or may still do, what it was asked for. */
export function mayStillCome(thrown: unknown): boolean {
  if (!isAway(thrown) || thrown instanceof NotAsked) return false;
  const { cause } = thrown as ExecutorError;
  return !(cause instanceof Error && "code" in cause && UNREACHED.includes(cause.code));
}

/** Whether the connection broke while the engine was at it: it may have done what it was asked for, or may not. */
export function isLostReply(thrown: unknown): boolean {
  if (!(thrown instanceof ExecutorError) || thrown.code !== "ENGINE_UNAVAILABLE") return false;
  const { cause } = thrown;
  return cause instanceof Error && "code" in cause && (cause.code === "ECONNRESET" || cause.code === "EPIPE");
}

function isDiskFull(reason: string): boolean {
  return reason.includes("no space left on device") || reason.includes("disk quota exceeded");
}

function isLibraryError(thrown: unknown): thrown is LibraryError {
  return thrown instanceof Error && "statusCode" in thrown && typeof thrown.statusCode === "number";
}

/** At most this much of the engine's text goes into an error. */
const MAX_REASON_LENGTH = 600;

function reasonOf(error: LibraryError): string {
  const { json } = error;
  const said = typeof json === "object" && json !== null && "message" in json ? json.message : undefined;
  const text = typeof said === "string" ? said : error.message.replace(/^\(HTTP code \d+\)\s*/, "");
  return text.trim().slice(0, MAX_REASON_LENGTH);
}
