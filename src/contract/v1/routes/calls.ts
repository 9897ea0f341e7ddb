import type { ErrorCode } from "../../../core/index.ts";
import { callQuery, newRun, run, runList, runListQuery, runParams } from "../calls.ts";
import { chainRangeQuery, receipt, receiptKey } from "../receipts.ts";
import type { Route } from "../route.ts";
import { JSON_TYPE, NDJSON_TYPE, SSE_TYPE } from "../route.ts";

/** Everything that can keep a call from being answered. */
export const CALL_PROBLEMS = [
  "INPUT_INVALID",
  "BODY_TOO_LARGE",
  "IMAGE_NAME_INVALID",
  "IMAGE_NOT_FOUND",
  "TASK_NOT_FOUND",
  "RESOURCES_EXCEED_LIMIT",
  "ISOLATION_UNAVAILABLE",
  "GPU_UNAVAILABLE",
  "SGX_UNAVAILABLE",
  "SESSION_NOT_FOUND",
  "SESSION_ENDED",
  "IMAGE_FORBIDDEN",
  "QUEUE_FULL",
  "QUEUE_TIMEOUT",
  "START_BACKOFF",
  "PAUSED",
  "DRAINING",
  "IMAGE_PULL_FAILED",
  "IMAGE_UNUSABLE",
  "SANDBOX_START_FAILED",
  "SANDBOX_EXITED_EARLY",
  "START_TIMEOUT",
  "RUN_TIMEOUT",
  "TASK_UNREACHABLE",
  "TASK_EXITED",
  "TASK_BROKE_OFF",
  "TASK_OUT_OF_MEMORY",
  "TASK_PROTOCOL",
  "ANSWER_TOO_LARGE",
  "CALL_CANCELLED",
  "ENGINE_UNAVAILABLE",
  "ENGINE_FAILED",
  "SANDBOX_LOST",
  "DISK_FULL",
] as const satisfies readonly ErrorCode[];

/** What says which session a call has opened, where it has opened one. */
export const SESSION_HEADERS = {
  "Hearth-Session": "The session's id, if this call has opened one. Whoever has it may use the session.",
  "Hearth-Session-Expires-Ms": "When that session ends if no call comes, in milliseconds from now.",
} as const;

const KEY_HEADER = {
  "Idempotency-Key":
    "Makes the call safe to repeat: the same key and request within the window get the recorded answer, and a refusal that may pass by itself frees the key.",
} as const;
const ACCEPTED = {
  description: "Accepted; the run goes on without its caller.",
  content: { [JSON_TYPE]: run },
  headers: { Location: "Where the run is found.", "Hearth-Run-Id": "The run's id." },
} as const;

export const callRoutes = {
  call: {
    method: "POST",
    path: "/v1/calls",
    tag: "calls",
    summary: "Call a task and wait for its answer",
    description:
      "The body is the task's input, byte for byte, with its content type; the answer is the task's own: status, content type and body, streamed as it comes. `Hearth-Outcome` is there if and only if the task answered.",
    scopes: ["run"],
    query: callQuery,
    headers: {
      ...KEY_HEADER,
      Prefer: "`respond-async`: answer 202 at once and record the run.",
    },
    body: "raw",
    answers: {
      200: {
        description: "The task's own answer, with the status that it chose.",
        content: { "*/*": undefined },
        headers: {
          "Hearth-Run-Id": "Names this call.",
          "Hearth-Outcome": "`success` for a 2xx of the task, otherwise `failure`.",
          "Hearth-Sandbox-Id": "Where it ran.",
          "Hearth-Start": "`warm`, `thawed` or `cold`.",
          "Hearth-Waited-Ms": "From the call to its slot.",
          "Hearth-Isolation": "The class really reached.",
          "Hearth-Image-Digest": "The content that ran.",
          ...SESSION_HEADERS,
          "Idempotency-Replayed": "`true` if this is the recorded answer of an earlier call.",
        },
      },
      202: ACCEPTED,
    },
    problems: [
      ...CALL_PROBLEMS,
      "IDEMPOTENCY_RUNNING",
      "IDEMPOTENCY_MISMATCH",
      "RUN_LOST",
      "ANSWER_NOT_KEPT",
    ],
  },
  startRun: {
    method: "POST",
    path: "/v1/runs",
    tag: "runs",
    summary: "Start a call without waiting for its answer",
    scopes: ["run"],
    headers: KEY_HEADER,
    body: newRun,
    answers: { 202: ACCEPTED },
    problems: [
      "INPUT_INVALID",
      "BODY_TOO_LARGE",
      "SESSION_NOT_FOUND",
      "SESSION_ENDED",
      "QUEUE_FULL",
      "DRAINING",
      "IDEMPOTENCY_MISMATCH",
      "DISK_FULL",
    ],
  },
  listRuns: {
    method: "GET",
    path: "/v1/runs",
    tag: "runs",
    summary: "List runs: those under way, then the last ended first",
    description:
      "Every attempt of every door, as far back as receipts are kept (`receipts.*` of the configuration).",
    scopes: ["run", "read"],
    query: runListQuery,
    answers: { 200: { description: "The runs.", content: { [JSON_TYPE]: runList } } },
    problems: ["INPUT_INVALID", "RECORDS_UNAVAILABLE"],
  },
  getRun: {
    method: "GET",
    path: "/v1/runs/{runId}",
    tag: "runs",
    summary: "Look at a run",
    scopes: ["run", "read"],
    params: runParams,
    answers: { 200: { description: "The run.", content: { [JSON_TYPE]: run } } },
    problems: ["RUN_NOT_FOUND"],
  },
  getReceipt: {
    method: "GET",
    path: "/v1/runs/{runId}/receipt",
    tag: "runs",
    summary: "Fetch the receipt of a run",
    description: "Its entry in the signed chain, with what proves it by itself.",
    scopes: ["run", "read"],
    params: runParams,
    answers: { 200: { description: "The receipt.", content: { [JSON_TYPE]: receipt } } },
    problems: ["RUN_NOT_FOUND", "RECEIPT_NOT_FOUND", "RECORDS_UNAVAILABLE"],
  },
  getReceiptKey: {
    method: "GET",
    path: "/v1/receipts/key",
    tag: "runs",
    summary: "Say whose signature receipts carry",
    description:
      "The public key. It proves nothing if it comes from the one whose receipts are doubted: note it down while you trust this host.",
    scopes: ["run", "read"],
    answers: { 200: { description: "The key.", content: { [JSON_TYPE]: receiptKey } } },
    problems: ["RECORDS_UNAVAILABLE"],
  },
  exportReceipts: {
    method: "GET",
    path: "/v1/receipts",
    tag: "runs",
    summary: "Export the chain of receipts",
    description:
      "As one JSON object per line: a head, then the entries of each signed block and its checkpoint, then a signed end; whole blocks that touch the range. `hearth verify` checks it.",
    scopes: ["read"],
    query: chainRangeQuery,
    answers: { 200: { description: "The chain.", content: { [NDJSON_TYPE]: undefined } } },
    problems: ["INPUT_INVALID", "RECORDS_UNAVAILABLE"],
  },
  followRun: {
    method: "GET",
    path: "/v1/runs/{runId}/events",
    tag: "runs",
    summary: "Follow a recorded call until it has ended",
    description: "Each event is the run as it then is; the last one has ended.",
    scopes: ["run", "read"],
    params: runParams,
    answers: {
      200: { description: "The run's story.", content: { [NDJSON_TYPE]: run, [SSE_TYPE]: run } },
    },
    problems: ["RUN_NOT_FOUND"],
  },
  getAnswer: {
    method: "GET",
    path: "/v1/runs/{runId}/answer",
    tag: "runs",
    summary: "Fetch the answer of a recorded call",
    description: "The task's status, content type and bytes; the run's own problem if it was not answered.",
    scopes: ["run"],
    params: runParams,
    answers: { 200: { description: "The task's own answer.", content: { "*/*": undefined } } },
    problems: [...CALL_PROBLEMS, "RUN_NOT_FOUND", "RUN_RUNNING", "RUN_LOST", "ANSWER_NOT_KEPT"],
  },
  cancelRun: {
    method: "DELETE",
    path: "/v1/runs/{runId}",
    tag: "runs",
    summary: "Cancel a recorded call",
    description: "Safe to repeat; once the run has ended it changes nothing and shows how it ended.",
    scopes: ["run"],
    params: runParams,
    answers: { 200: { description: "The run.", content: { [JSON_TYPE]: run } } },
    problems: ["RUN_NOT_FOUND"],
  },
} as const satisfies Record<string, Route>;
