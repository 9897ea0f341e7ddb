import type { Problem } from "../contract/problem.ts";
import { HearthError } from "./error.ts";

/** Where the daemon is, and how to be let in. */
export interface ClientOptions {
  /** Such as `http://127.0.0.1:2591`. */
  readonly baseUrl: string;
  /** Bearer token, where the daemon wants one. */
  readonly token?: string | undefined;
  /** Stands in for the global `fetch`. */
  readonly fetch?: typeof fetch | undefined;
}

/** What `fetch` takes as a body, by the names that Node and browsers share. */
export type OutgoingBody = string | Uint8Array | Blob | ReadableStream<Uint8Array>;

/** One request. */
export interface Outgoing {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: OutgoingBody | undefined;
  /** Sent as JSON instead of `body`. */
  readonly json?: unknown;
  readonly signal?: AbortSignal | undefined;
}

/** Sends one request; an answer that is an error becomes a {@link HearthError}, unless the task itself gave it. */
export async function send(options: ClientOptions, outgoing: Outgoing): Promise<Response> {
  const response = await reach(options, outgoing);
  if (response.ok || response.headers.has("hearth-outcome")) return response;
  throw await errorOf(response);
}

async function reach(options: ClientOptions, outgoing: Outgoing): Promise<Response> {
  const headers = new Headers(outgoing.headers);
  if (options.token !== undefined) headers.set("authorization", `Bearer ${options.token}`);
  let body = outgoing.body;
  if (outgoing.json !== undefined) {
    headers.set("content-type", "application/json");
    body = JSON.stringify(outgoing.json);
  }
  const init: RequestInit & { duplex?: "half" } = { method: outgoing.method, headers, redirect: "error" };
  // The types of `fetch` leave out bytes over shared memory; the platforms take them.
  if (body !== undefined) init.body = body as NonNullable<RequestInit["body"]>;
  if (typeof ReadableStream !== "undefined" && body instanceof ReadableStream) init.duplex = "half";
  if (outgoing.signal !== undefined) init.signal = outgoing.signal;
  const url = urlOf(options.baseUrl, outgoing);
  try {
    return await (options.fetch ?? fetch)(url, init);
  } catch (cause) {
    if (outgoing.signal?.aborted === true) throw outgoing.signal.reason;
    throw new HearthError("UNREACHABLE", `no answer from ${options.baseUrl}`, { retry: "later", cause });
  }
}

function urlOf(baseUrl: string, { path, query }: Outgoing): string {
  const url = new URL(path, baseUrl.endsWith("/") ? baseUrl : `${baseUrl}/`);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url.href;
}

/** What an answer that is an error says; never rejects for its body. */
export async function errorOf(response: Response): Promise<HearthError> {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : undefined;
  const text = await response.text().catch(() => ""); // a body that breaks off: the status alone has to do
  const body = parse(text);
  if (isProblem(body)) return HearthError.fromProblem(body, retryAfterMs);
  return new HearthError("UNEXPECTED", `status ${response.status}, and a body that is not Hearth's`, {
    status: response.status,
    retryAfterMs,
  });
}

/** A body as JSON, trusted to have the contract's shape. */
export async function json<T>(response: Response): Promise<T> {
  const text = await response.text();
  const body = parse(text);
  if (body === undefined) {
    throw new HearthError("UNEXPECTED", "the answer is not JSON", { status: response.status });
  }
  return body as T;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isProblem(body: unknown): body is Problem {
  return typeof body === "object" && body !== null && "code" in body && "detail" in body && "status" in body;
}
