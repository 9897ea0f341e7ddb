import type { ErrorCode } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";

/** The parts of an AWS error that are looked at; what a stranger's server sends is not relied on to have them. */
interface Said {
  readonly name: string;
  readonly status: number | undefined;
  /** Of Node's sockets and names. */
  readonly system: string;
}

/** Names under which servers say that they are busy or broken for now. */
const PASSING = new Set([
  "SlowDown",
  "InternalError",
  "ServiceUnavailable",
  "RequestTimeout",
  "RequestTimeTooSkewed",
  "OperationAborted",
  "Throttling",
  "ThrottlingException",
  "TimeoutError",
  "IncompleteBody",
]);
const EXPIRED = new Set(["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"]);
const MISSING = new Set(["NoSuchKey", "NotFound", "NoSuchBucket"]);
/** What the chain of credentials says when it has none. */
const WITHOUT_CREDENTIALS = new Set(["CredentialsProviderError", "TokenProviderError", "AuthSSOTokenError"]);

function said(error: unknown): Said {
  const one = error as {
    readonly name?: unknown;
    readonly code?: unknown;
    readonly $metadata?: { readonly httpStatusCode?: unknown };
  } | null;
  const status = one?.$metadata?.httpStatusCode;
  return {
    name: typeof one?.name === "string" ? one.name : "",
    status: typeof status === "number" ? status : undefined,
    system: typeof one?.code === "string" ? one.code : "",
  };
}

/** Whether the session's credentials have run out, so that fresh ones are worth one more try. */
export const isExpired = (error: unknown): boolean => EXPIRED.has(said(error).name);

/** Whether an upload is not known any more: a complete that was answered into nothing has ended it, or somebody else has. */
export const isUnknownUpload = (error: unknown): boolean => said(error).name === "NoSuchUpload";

/** What S3 or the way to it says, in our words; our own errors are passed on. Texts of servers are not, they may hold anything. */
export function s3Failure(
  error: unknown,
  facts: { readonly store?: string; readonly key: string },
): ExecutorError {
  if (error instanceof ExecutorError) return error;
  const { name, status, system } = said(error);
  const reason = [status, name === "Error" ? undefined : name, system].filter(Boolean).join(" ");
  const fail = (code: ErrorCode, why = reason): ExecutorError =>
    new ExecutorError(code, { ...facts, reason: why }, { cause: error });
  if (WITHOUT_CREDENTIALS.has(name))
    return fail(
      "ARTIFACT_STORE_DENIED",
      "there are no AWS credentials in the environment, a profile or an instance role",
    );
  if (error instanceof Error && /^Region is missing/.test(error.message))
    return fail("ARTIFACT_STORE_DENIED", "no AWS region is set (AWS_REGION)");
  return fail(codeOf(name, status));
}

function codeOf(name: string, status: number | undefined): ErrorCode {
  if (PASSING.has(name) || name === "NoSuchUpload") return "ARTIFACT_STORE_UNAVAILABLE";
  if (MISSING.has(name) || status === 404) return "ARTIFACT_NOT_FOUND";
  if (status === 401 || status === 403 || EXPIRED.has(name)) return "ARTIFACT_STORE_DENIED";
  return name === "EntityTooLarge" ? "ARTIFACT_TOO_LARGE" : "ARTIFACT_STORE_UNAVAILABLE";
}

/** Whether the same request may succeed if it is sent again; a request that the server calls wrong stays wrong. */
export function mayPass(error: unknown): boolean {
  if (error instanceof ExecutorError) return error.spec.retry === "later";
  const { name, status, system } = said(error);
  if (PASSING.has(name)) return true;
  if (status !== undefined && status >= 300) return status >= 500 || status === 429 || status === 408;
  if (WITHOUT_CREDENTIALS.has(name)) return false;
  // No answer, half of one, or one that is not S3's: the way there is at fault.
  return system !== "" || status === 200;
}
