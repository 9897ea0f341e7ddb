import { ExecutorError } from "../../../core/index.ts";

const MOST_BYTES = 1_048_576;

export interface Reply {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

export interface Asking {
  readonly method?: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * One HTTP request with an end: in time and in bytes. Redirections are not followed, since nobody whom this asks has a reason to
 * send it elsewhere.
 *
 * @throws what `fetch` does; the signal's reason.
 */
export async function ask(
  url: string,
  { method = "GET", headers, body, timeoutMs, signal }: Asking,
): Promise<Reply> {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(() => controller.abort(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
  try {
    signal.throwIfAborted();
    const options = { method, headers, redirect: "manual", signal: controller.signal } as const;
    const response = await fetch(url, body === undefined ? options : { ...options, body });
    return { status: response.status, text: await readText(response), headers: response.headers };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > MOST_BYTES) throw new ExecutorError("ANSWER_TOO_LARGE", { limitBytes: MOST_BYTES });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
