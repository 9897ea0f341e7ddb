import { request } from "node:http";
import { ERRORS } from "../../src/core/index.ts";

/** Set in the environment of every daemon under fault; it must never come out of one. */
export const SECRET_CANARY = "canary-3f9c1d77-secret";

export interface CallOptions {
  /** Cores; default 0.2. */
  readonly cpu?: number;
  /** MB; default 32. */
  readonly mem?: number;
  readonly runTimeoutMs?: number;
  readonly queueTimeoutMs?: number;
  readonly path?: string;
  readonly signal?: AbortSignal;
}

/** How one request came out. */
export interface Answer {
  /** 0 when the connection ended without a whole answer. */
  readonly status: number;
  readonly text: string;
  readonly bytes: number;
  /** Of a problem; empty for what the task answered. */
  readonly code: string;
  readonly problem: Problem | undefined;
  readonly sandboxId: string;
  /** `cold`, `warm` or `thawed`. */
  readonly start: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly ms: number;
}

export interface Problem {
  readonly code: string;
  readonly detail: string;
  readonly retry: string;
  readonly fault: string;
  readonly requestId: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** A client that opens a connection for each request, checks every error's shape (I8) and counts what it sent (I1). */
export class Caller {
  readonly #baseUrl: string;
  sent = 0;
  answered = 0;
  broken = 0;

  constructor(baseUrl: string) {
    this.#baseUrl = baseUrl;
  }

  /** One call; never rejects for what the daemon does. */
  async call(image: string, input: string, options: CallOptions = {}): Promise<Answer> {
    const { cpu = 0.2, mem = 32, runTimeoutMs, queueTimeoutMs, path, signal } = options;
    const query = new URLSearchParams({ image, cpu: String(cpu), mem: String(mem) });
    if (runTimeoutMs !== undefined) query.set("runTimeoutMs", String(runTimeoutMs));
    if (queueTimeoutMs !== undefined) query.set("queueTimeoutMs", String(queueTimeoutMs));
    if (path !== undefined) query.set("path", path);
    return await this.send("POST", `/v1/calls?${query.toString()}`, input, signal);
  }

  async get<T>(path: string): Promise<T> {
    const answer = await this.send("GET", path);
    if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${answer.text}`);
    return JSON.parse(answer.text) as T;
  }

  /** A JSON body, or none. */
  async post(path: string, body?: unknown): Promise<Answer> {
    return await this.send("POST", path, body === undefined ? "" : JSON.stringify(body), undefined, {
      "content-type": "application/json",
    });
  }

  /** Changes settings of the running daemon. */
  async configure(settings: Readonly<Record<string, unknown>>): Promise<void> {
    const headers = { "content-type": "application/json" };
    const answer = await this.send("PATCH", "/v1/config", JSON.stringify(settings), undefined, headers);
    if (answer.status !== 200) throw new Error(`PATCH /v1/config: ${answer.status} ${answer.text}`);
  }

  async send(
    method: string,
    path: string,
    body = "",
    signal?: AbortSignal,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    this.sent += 1;
    const answer = await exchange(`${this.#baseUrl}${path}`, method, body, signal, headers);
    if (answer.status === 0) this.broken += 1;
    else this.answered += 1;
    judgeError(answer);
    return answer;
  }
}

const STACK = /\n\s+at .+:\d+:\d+/;

/** I8: a problem has a known code and a request id, and neither a stack nor a secret. */
function judgeError({ status, headers, problem, text }: Answer): void {
  if (text.includes(SECRET_CANARY)) throw new Error(`an answer holds the secret: ${text.slice(0, 500)}`);
  // What the task said, and the contract's own shape of a refusal, are no problems.
  const isContract = /^(\{\n {4}"success": false|"Bad execution request)/.test(text) && !STACK.test(text);
  if (status < 400 || headers["hearth-outcome"] !== undefined || isContract) return;
  if (problem === undefined) throw new Error(`${status} without a problem: ${text.slice(0, 500)}`);
  if (!(problem.code in ERRORS)) throw new Error(`an unknown code: ${text}`);
  if (problem.requestId === "") throw new Error(`a problem without a request id: ${text}`);
  if (STACK.test(problem.detail)) throw new Error(`a stack in a problem: ${text}`);
}

function exchange(
  url: string,
  method: string,
  body: string,
  signal: AbortSignal | undefined,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  const startedAtMs = performance.now();
  return new Promise((resolve) => {
    const call = request(url, {
      method,
      agent: false,
      headers: { ...headers, ...lengthOf(method, body) },
      ...(signal && { signal }),
    });
    call.on("response", (reply) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      reply.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        // Enough for every answer that a test looks into.
        if (bytes <= 1_048_576) chunks.push(chunk);
      });
      reply.on("close", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        const isProblem = String(reply.headers["content-type"]).startsWith("application/problem+json");
        const problem = isProblem && reply.complete ? (JSON.parse(text) as Problem) : undefined;
        resolve({
          status: reply.complete ? (reply.statusCode ?? 0) : 0,
          text,
          bytes,
          code: problem?.code ?? "",
          problem,
          sandboxId: String(reply.headers["hearth-sandbox-id"] ?? ""),
          start: String(reply.headers["hearth-start"] ?? ""),
          headers: reply.headers,
          ms: performance.now() - startedAtMs,
        });
      });
    });
    call.on("error", (error) => {
      const ms = performance.now() - startedAtMs;
      const nothing = { bytes: 0, code: "", problem: undefined, sandboxId: "", start: "", headers: {} };
      resolve({ status: 0, text: error.message, ms, ...nothing });
    });
    call.end(body);
  });
}

function lengthOf(method: string, body: string): Record<string, number> {
  return method === "GET" ? {} : { "content-length": Buffer.byteLength(body) };
}
