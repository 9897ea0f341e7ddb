/**
 * The register of errors. A code is for ever; its `kind` alone decides the HTTP status (one table per door), its `retry`
 * whether to try again, its `fault` who has to act. `docs/errors.md` is written from this table.
 */
export type ErrorKind =
  | "invalid" // the request itself is wrong
  | "refused" // right, but not allowed or not possible on this host
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "method" // the path is right, what is to be done with it is not
  | "conflict"
  | "too_large"
  | "unsupported"
  | "busy" // no room now
  | "starting"
  | "paused"
  | "draining"
  | "pull"
  | "start"
  | "timeout"
  | "memory"
  | "exit"
  | "protocol"
  | "cancelled"
  | "infrastructure"
  | "internal";

export interface ErrorSpec {
  readonly kind: ErrorKind;
  /** Whether the same request may succeed if it is simply sent again. */
  readonly retry: "never" | "later";
  /** Who has to act: the caller, the author of the task image, or whoever runs this host. */
  readonly fault: "caller" | "task" | "host";
  readonly text: string;
}

export const ERRORS = {
  INPUT_INVALID: {
    kind: "invalid",
    retry: "never",
    fault: "caller",
    text: "the request does not fit its schema",
  },
  CONFIG_INVALID: {
    kind: "invalid",
    retry: "never",
    fault: "caller",
    text: "the configuration is not valid",
  },
  IMAGE_NAME_INVALID: {
    kind: "invalid",
    retry: "never",
    fault: "caller",
    text: "the id is not an image reference or task id",
  },
  BODY_TOO_LARGE: {
    kind: "too_large",
    retry: "never",
    fault: "caller",
    text: "the request body is above the limit",
  },
  ENCODING_UNSUPPORTED: {
    kind: "unsupported",
    retry: "never",
    fault: "caller",
    text: "compressed request bodies are not taken",
  },
  MEDIA_TYPE_UNSUPPORTED: {
    kind: "unsupported",
    retry: "never",
    fault: "caller",
    text: "the body's media type is not taken here",
  },
  REQUEST_TIMEOUT: {
    kind: "timeout",
    retry: "later",
    fault: "caller",
    text: "the request did not arrive in time",
  },
  TOKEN_REQUIRED: {
    kind: "unauthorized",
    retry: "never",
    fault: "caller",
    text: "a valid bearer token is required",
  },
  SCOPE_MISSING: {
    kind: "forbidden",
    retry: "never",
    fault: "caller",
    text: "the token does not cover this action",
  },
  SOURCE_FORBIDDEN: {
    kind: "forbidden",
    retry: "never",
    fault: "caller",
    text: "this API does not answer tasks",
  },
  CONTROL_FORBIDDEN: {
    kind: "forbidden",
    retry: "never",
    fault: "caller",
    text: "the monitor port takes orders only from this host itself, or with a token",
  },
  ORIGIN_FORBIDDEN: {
    kind: "forbidden",
    retry: "never",
    fault: "caller",
    text: "this API does not answer web pages of other origins",
  },
  HOST_FORBIDDEN: {
    kind: "forbidden",
    retry: "never",
    fault: "caller",
    text: "the Host header names a host that this API does not know",
  },
  ROUTE_NOT_FOUND: { kind: "not_found", retry: "never", fault: "caller", text: "there is no such route" },
  METHOD_NOT_ALLOWED: {
    kind: "method",
    retry: "never",
    fault: "caller",
    text: "the path does not take this method",
  },
  SANDBOX_NOT_FOUND: {
    kind: "not_found",
    retry: "never",
    fault: "caller",
    text: "there is no such warm sandbox",
  },
  RUN_NOT_FOUND: { kind: "not_found", retry: "never", fault: "caller", text: "there is no such run" },
  RECEIPT_NOT_FOUND: {
    kind: "not_found",
    retry: "later",
    fault: "caller",
    text: "there is no receipt of this run, or not yet",
  },
  ANSWER_NOT_KEPT: {
    kind: "not_found",
    retry: "never",
    fault: "caller",
    text: "the run's answer was not kept: it was too large, or the call did not ask to be recorded",
  },
  RUN_RUNNING: { kind: "conflict", retry: "later", fault: "caller", text: "the run has not ended yet" },
  TASK_NOT_FOUND: { kind: "not_found", retry: "never", fault: "caller", text: "no task folder has this id" },
  IDEMPOTENCY_RUNNING: {
    kind: "conflict",
    retry: "later",
    fault: "caller",
    text: "a call with this idempotency key still runs",
  },
  IDEMPOTENCY_MISMATCH: {
    kind: "conflict",
    retry: "never",
    fault: "caller",
    text: "this idempotency key belongs to another request",
  },
  NOT_PAUSED: {
    kind: "conflict",
    retry: "never",
    fault: "caller",
    text: "the configuration changes here only while paused",
  },
  SANDBOX_BUSY: {
    kind: "conflict",
    retry: "later",
    fault: "caller",
    text: "the sandbox is in use",
  },
  RESOURCES_EXCEED_LIMIT: {
    kind: "refused",
    retry: "never",
    fault: "caller",
    text: "the request is above what this host gives to tasks",
  },
  ISOLATION_UNAVAILABLE: {
    kind: "refused",
    retry: "never",
    fault: "host",
    text: "this host does not offer the isolation asked for",
  },
  GPU_UNAVAILABLE: {
    kind: "refused",
    retry: "never",
    fault: "host",
    text: "this host does not offer the GPUs asked for",
  },
  SGX_UNAVAILABLE: { kind: "refused", retry: "never", fault: "host", text: "this host does not offer SGX" },
  NETWORK_UNAVAILABLE: {
    kind: "refused",
    retry: "never",
    fault: "host",
    text: "this host does not offer the network that the task asked for",
  },
  SESSION_NOT_FOUND: {
    kind: "not_found",
    retry: "never",
    fault: "caller",
    text: "there is no such session, or it has run out",
  },
  SESSION_ENDED: {
    kind: "conflict",
    retry: "never",
    fault: "host",
    text: "the server that the session was pinned to is gone; attest again",
  },
  IMAGE_FORBIDDEN: {
    kind: "refused",
    retry: "never",
    fault: "caller",
    text: "this host's policy does not allow the image",
  },
  QUEUE_FULL: { kind: "busy", retry: "later", fault: "host", text: "too many requests wait already" },
  QUEUE_TIMEOUT: { kind: "busy", retry: "later", fault: "host", text: "no room became free in time" },
  START_BACKOFF: {
    kind: "busy",
    retry: "later",
    fault: "task",
    text: "the task failed to start several times; the next try comes later",
  },
  STARTING: { kind: "starting", retry: "later", fault: "host", text: "the executor has not started yet" },
  PAUSED: { kind: "paused", retry: "later", fault: "host", text: "the executor is paused" },
  DRAINING: { kind: "draining", retry: "later", fault: "host", text: "the executor is stopping" },
  IMAGE_NOT_FOUND: {
    kind: "not_found",
    retry: "never",
    fault: "caller",
    text: "the image does not exist here or in its registry",
  },
  IMAGE_PULL_FAILED: { kind: "pull", retry: "later", fault: "host", text: "the image could not be pulled" },
  IMAGE_UNUSABLE: { kind: "start", retry: "never", fault: "task", text: "the image cannot be run" },
  SANDBOX_START_FAILED: {
    kind: "start",
    retry: "later",
    fault: "task",
    text: "the sandbox could not be started",
  },
  SANDBOX_EXITED_EARLY: {
    kind: "start",
    retry: "later",
    fault: "task",
    text: "the task ended before it was ready",
  },
  START_TIMEOUT: { kind: "timeout", retry: "later", fault: "task", text: "the task was not ready in time" },
  RUN_TIMEOUT: { kind: "timeout", retry: "never", fault: "task", text: "the task did not answer in time" },
  TASK_UNREACHABLE: {
    kind: "exit",
    retry: "later",
    fault: "task",
    text: "the task's server could not be reached; nothing was sent to it",
  },
  TASK_EXITED: { kind: "exit", retry: "later", fault: "task", text: "the task ended before it had answered" },
  TASK_BROKE_OFF: {
    kind: "protocol",
    retry: "later",
    fault: "task",
    text: "the task broke its answer off; it runs on",
  },
  FUNCTION_FAILED: {
    kind: "exit",
    retry: "never",
    fault: "task",
    text: "the function ended with an error of its own",
  },
  TASK_OUT_OF_MEMORY: {
    kind: "memory",
    retry: "never",
    fault: "task",
    text: "the task used more memory than it was given",
  },
  TASK_OUT_OF_DISK: {
    kind: "exit",
    retry: "never",
    fault: "task",
    text: "the task wrote more to disk than it was given",
  },
  TASK_PROTOCOL: { kind: "protocol", retry: "never", fault: "task", text: "the task's answer is not HTTP" },
  ANSWER_TOO_LARGE: {
    kind: "protocol",
    retry: "never",
    fault: "task",
    text: "the task's answer is above the limit",
  },
  CALL_CANCELLED: {
    kind: "cancelled",
    retry: "never",
    fault: "caller",
    text: "the caller went away or cancelled",
  },
  ENGINE_UNAVAILABLE: {
    kind: "infrastructure",
    retry: "later",
    fault: "host",
    text: "the sandbox driver's engine does not answer",
  },
  ENGINE_FAILED: {
    kind: "infrastructure",
    retry: "later",
    fault: "host",
    text: "the sandbox driver's engine refused an operation",
  },
  SANDBOX_LOST: {
    kind: "infrastructure",
    retry: "later",
    fault: "host",
    text: "the sandbox vanished from under a running call",
  },
  DISK_FULL: {
    kind: "infrastructure",
    retry: "later",
    fault: "host",
    text: "the host has no disk space left",
  },
  RECORDS_UNAVAILABLE: {
    kind: "infrastructure",
    retry: "later",
    fault: "host",
    text: "the records of runs cannot be read or written",
  },
  STATE_IN_USE: {
    kind: "infrastructure",
    retry: "never",
    fault: "host",
    text: "another daemon uses this state directory",
  },
  ADDRESS_IN_USE: {
    kind: "infrastructure",
    retry: "never",
    fault: "host",
    text: "the address to listen on is taken",
  },
  ARTIFACT_NOT_FOUND: {
    kind: "not_found",
    retry: "never",
    fault: "caller",
    text: "there is no such file in the artifact store",
  },
  ARTIFACT_KEY_INVALID: {
    kind: "invalid",
    retry: "never",
    fault: "caller",
    text: "this cannot name a file in the artifact store",
  },
  ARTIFACT_TOO_LARGE: {
    kind: "too_large",
    retry: "never",
    fault: "caller",
    text: "the file is above the limit",
  },
  ARTIFACT_STORE_DENIED: {
    kind: "infrastructure",
    retry: "never",
    fault: "host",
    text: "the artifact store does not accept this host's credentials",
  },
  ARTIFACT_STORE_UNAVAILABLE: {
    kind: "infrastructure",
    retry: "later",
    fault: "host",
    text: "the artifact store does not answer",
  },
  ARCHIVE_INVALID: {
    kind: "invalid",
    retry: "never",
    fault: "caller",
    text: "the archive is damaged or reaches outside its folder",
  },
  ARCHIVE_TOO_LARGE: {
    kind: "too_large",
    retry: "never",
    fault: "caller",
    text: "the archive holds more than is allowed",
  },
  QUEUE_UNAVAILABLE: {
    kind: "infrastructure",
    retry: "later",
    fault: "host",
    text: "the queue of jobs does not answer",
  },
  QUEUE_OFF: { kind: "refused", retry: "never", fault: "host", text: "this host takes no jobs from a queue" },
  JOB_NOT_FOUND: { kind: "not_found", retry: "never", fault: "caller", text: "there is no such job" },
  JOB_INVALID: {
    kind: "invalid",
    retry: "never",
    fault: "caller",
    text: "the job's entry cannot be run",
  },
  RUN_LOST: {
    kind: "infrastructure",
    retry: "never",
    fault: "host",
    text: "the executor ended while the call ran; whether the task finished is not known",
  },
  INTERNAL: { kind: "internal", retry: "later", fault: "host", text: "a defect of the executor" },
} as const satisfies Record<string, ErrorSpec>;
