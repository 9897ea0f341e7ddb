import { NDJSON_TYPE, SSE_TYPE } from "../../../contract/v1/route.ts";
import type { RequestContext } from "../request-context.ts";

/** A source that is silent at first is answered after this long; until then its error can still be a problem. */
const FIRST_VALUE_MS = 300;

export type StreamType = typeof NDJSON_TYPE | typeof SSE_TYPE;

/** Which kind of event stream a request asks for, if any. */
export function wantedStream({ request }: RequestContext): StreamType | undefined {
  const accept = request.headers.accept ?? "";
  if (accept.includes(SSE_TYPE)) return SSE_TYPE;
  if (accept.includes(NDJSON_TYPE)) return NDJSON_TYPE;
  return undefined;
}

/**
 * Answers that go on until their subject ends or the client leaves. They are known here so that closing the door can end
 * them: a server does not close while one is open.
 */
export class EventStreams {
  readonly #open = new Set<AbortController>();

  get size(): number {
    return this.#open.size;
  }

  /**
   * Sends each value as it comes; a slow client slows the source. Returns when the source has ended, the client has left or
   * the door closes. What the source throws before its first value is thrown; later it ends the answer. Whoever only asks for the
   * head (`HEAD`) has it as soon as it is known.
   *
   * @param source is given a signal that aborts when nobody listens any more.
   */
  async send<T>(
    context: RequestContext,
    format: { readonly contentType: string; print(value: T): string },
    source: (signal: AbortSignal) => AsyncIterable<T>,
  ): Promise<void> {
    const { response } = context;
    const listening = new AbortController();
    this.#open.add(listening);
    context.onGone(() => listening.abort());
    const isHead = context.request.method === "HEAD";
    const early = setTimeout(() => {
      begin(context, format.contentType);
      if (isHead) listening.abort();
    }, FIRST_VALUE_MS);
    try {
      for await (const value of source(listening.signal)) {
        begin(context, format.contentType);
        if (isHead) break;
        if (!response.write(format.print(value))) await drained(context);
        if (listening.signal.aborted) break;
      }
      begin(context, format.contentType);
    } catch (error) {
      if (!listening.signal.aborted) throw error;
      begin(context, format.contentType);
    } finally {
      clearTimeout(early);
      this.#open.delete(listening);
    }
    response.end();
  }

  /** Ends all of them. */
  end(): void {
    for (const listening of this.#open) listening.abort();
  }
}

/** One JSON value per line, or one server-sent event per value. */
export function jsonEvents(type: StreamType): {
  readonly contentType: string;
  print(value: unknown): string;
} {
  return {
    contentType: type === SSE_TYPE ? `${SSE_TYPE}; charset=utf-8` : NDJSON_TYPE,
    print: (value) =>
      type === SSE_TYPE ? `data: ${JSON.stringify(value)}\n\n` : `${JSON.stringify(value)}\n`,
  };
}

function begin({ response }: RequestContext, contentType: string): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(200, {
    "content-type": contentType,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.flushHeaders();
}

/** Until the client has read what was written, or has left. */
function drained({ response }: RequestContext): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    if (response.destroyed) resolve();
    else response.on("drain", done).on("close", done);
  });
}
