import type { IsolationClass, NetworkPolicy } from "../core/index.ts";
import type { OutgoingBody } from "./transport.ts";

/** One call of a task. */
export interface CallInput {
  /** Image reference, or id of a task folder. May be left out in a session, which knows its task. */
  readonly image?: string | undefined;
  /** Sent as it stands: text, bytes or a stream. Left out: empty. */
  readonly input?: OutgoingBody | undefined;
  /** Default `application/json`. */
  readonly contentType?: string | undefined;
  /** Cores, one decimal. */
  readonly cpu?: number | undefined;
  /** MB of 2^20 bytes. */
  readonly mem?: number | undefined;
  readonly gpus?: number | undefined;
  /** MB of each card; left out: whole cards. */
  readonly gpuMemory?: number | undefined;
  readonly isolation?: IsolationClass | "default" | undefined;
  /** What the task may reach. */
  readonly network?: NetworkPolicy | "default" | undefined;
  readonly sgx?: boolean | undefined;
  /** `new` keeps the server that answers for a session, whose id the answer has; an id runs on that very server. */
  readonly session?: string | undefined;
  /** Path at the task's server; default `/`. */
  readonly path?: string | undefined;
  readonly queueTimeoutMs?: number | undefined;
  readonly runTimeoutMs?: number | undefined;
  /** Makes the call safe to repeat. */
  readonly idempotencyKey?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a task answered, its body still to be read. Its status may be any; `isSuccess` is a 2xx. */
export interface CallStream {
  readonly status: number;
  readonly isSuccess: boolean;
  readonly contentType: string | undefined;
  readonly runId: string;
  readonly sandboxId: string | undefined;
  readonly start: "warm" | "thawed" | "cold" | undefined;
  readonly waitedMs: number | undefined;
  /** The session that this call has opened. */
  readonly sessionId: string | undefined;
  readonly isReplayed: boolean;
  readonly headers: Headers;
  readonly body: ReadableStream<Uint8Array>;
}

/** What a task answered, whole. */
export interface CallAnswer extends Omit<CallStream, "body"> {
  readonly bytes: Uint8Array;
  /** The bytes as UTF-8. */
  readonly text: string;
}

/** A call as query parameters. */
export function queryOf(call: CallInput): Record<string, string | number | boolean | undefined> {
  const { image, cpu, mem, gpus, gpuMemory, isolation, network, sgx, session } = call;
  const { path, queueTimeoutMs, runTimeoutMs } = call;
  return {
    ...{ image, cpu, mem, gpus, gpuMemory, isolation, network, sgx, session },
    ...{ path, queueTimeoutMs, runTimeoutMs },
  };
}

/** A call as request headers. */
export function headersOf(call: CallInput, prefer?: "respond-async"): Record<string, string> {
  return {
    "content-type": call.contentType ?? "application/json",
    ...(call.idempotencyKey === undefined ? {} : { "idempotency-key": call.idempotencyKey }),
    ...(prefer === undefined ? {} : { prefer }),
  };
}

/** The head of an answer, and its body still to be read. */
export function streamOf(response: Response): CallStream {
  const { headers, status } = response;
  const waited = headers.get("hearth-waited-ms");
  const start = headers.get("hearth-start");
  return {
    status,
    isSuccess: status >= 200 && status <= 299,
    contentType: headers.get("content-type") ?? undefined,
    runId: headers.get("hearth-run-id") ?? "",
    sandboxId: headers.get("hearth-sandbox-id") ?? undefined,
    start: start === "warm" || start === "thawed" || start === "cold" ? start : undefined,
    waitedMs: waited === null ? undefined : Number(waited),
    sessionId: headers.get("hearth-session") ?? undefined,
    isReplayed: headers.get("idempotency-replayed") === "true",
    headers,
    body: response.body ?? new ReadableStream({ start: (controller) => controller.close() }),
  };
}

/** A whole answer. */
export async function answerOf(response: Response): Promise<CallAnswer> {
  const { body: _, ...head } = streamOf(response);
  const bytes = new Uint8Array(await response.arrayBuffer());
  return { ...head, bytes, text: new TextDecoder().decode(bytes) };
}
