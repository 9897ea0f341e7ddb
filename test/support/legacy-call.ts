import type { Daemon } from "./start-daemon.ts";

/** An answer of one of the contract's paths, with its bytes as they came. */
export interface LegacyReply {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  /** The body as JSON; `undefined` if it is none. */
  readonly json: unknown;
  /** From the request to the last byte of the answer. */
  readonly tookMs: number;
}

/** What `POST /` answers. */
export interface TaskReply extends LegacyReply {
  readonly success: boolean;
  readonly msg: string;
  /** `warm`, `thawed` or `cold`; empty if no task was reached. */
  readonly start: string;
  readonly sandboxId: string;
}

/** Patience with one answer: a test that hangs says which call it was. */
const DEADLINE_MS = 75_000;

/** Sends a request to a path of the contract. */
export async function ask(daemon: Daemon, path: string, body?: unknown): Promise<LegacyReply> {
  const startedAtMs = performance.now();
  const answer = await fetch(`${daemon.baseUrl}${path}`, {
    signal: AbortSignal.timeout(DEADLINE_MS),
    ...(body === undefined
      ? {}
      : { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const bytes = Buffer.from(await answer.arrayBuffer());
  return {
    status: answer.status,
    headers: answer.headers,
    bytes,
    json: parsed(bytes),
    tookMs: performance.now() - startedAtMs,
  };
}

/** Calls a task as the known clients do. */
export async function call(
  daemon: Daemon,
  id: string,
  input = "hello",
  more: Readonly<Record<string, unknown>> = {},
): Promise<TaskReply> {
  const reply = await ask(daemon, "/", { id, input, ...more });
  const { success = false, msg = "" } = (reply.json ?? {}) as { success?: boolean; msg?: string };
  return {
    ...reply,
    success,
    msg: typeof reply.json === "string" ? reply.json : msg,
    start: reply.headers.get("hearth-start") ?? "",
    sandboxId: reply.headers.get("hearth-sandbox-id") ?? "",
  };
}

/** The eleven figures. */
export async function stats(daemon: Daemon): Promise<Readonly<Record<string, number>>> {
  const { json } = await ask(daemon, "/stats");
  return json as Readonly<Record<string, number>>;
}

export interface ListedSandbox {
  readonly id: string;
  readonly label: string;
  readonly image: string;
  readonly tier: string;
  readonly slotsUsed: number;
}

/** What the daemon itself says that it holds. */
export async function sandboxes(daemon: Daemon): Promise<readonly ListedSandbox[]> {
  const { json } = await ask(daemon, "/v1/sandboxes");
  return (json as { sandboxes: readonly ListedSandbox[] }).sandboxes;
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}
