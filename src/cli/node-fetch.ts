import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream as NodeStream } from "node:stream/web";

type Body = string | Uint8Array | Blob | ReadableStream<Uint8Array>;

/**
 * `fetch` over Node's own HTTP, as far as the client needs it. Unlike the global one it loads at once, can speak to a Unix
 * socket, and sets no time limit of its own: a task may take longer than five minutes to answer.
 */
export function nodeFetch(socketPath?: string): typeof fetch {
  return (input, init = {}) =>
    new Promise<Response>((resolve, reject) => {
      const url = new URL(input instanceof Request ? input.url : input);
      const open = url.protocol === "https:" ? requestHttps : requestHttp;
      const request = open(url, {
        method: init.method ?? "GET",
        headers: Object.fromEntries(new Headers(init.headers)),
        agent: false,
        ...(socketPath === undefined ? {} : { socketPath }),
        ...(init.signal ? { signal: init.signal } : {}),
      });
      request.on("error", reject);
      request.on("response", (incoming) => {
        const status = incoming.statusCode ?? 0;
        if (status < 200 || status > 599) {
          request.destroy();
          reject(new Error(`status ${status}`));
          return;
        }
        const headers = new Headers();
        for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
          headers.append(incoming.rawHeaders[i] ?? "", incoming.rawHeaders[i + 1] ?? "");
        }
        const isBodyless = status === 204 || status === 205 || status === 304;
        if (isBodyless) incoming.resume();
        // Node's and the platform's stream types are the same thing under two names.
        const body = isBodyless ? null : (Readable.toWeb(incoming) as unknown as ReadableStream<Uint8Array>);
        resolve(new Response(body, { status, statusText: incoming.statusMessage ?? "", headers }));
      });
      sendBody(request, init.body as Body | null | undefined).catch(reject);
    });
}

async function sendBody(request: NodeJS.WritableStream, body: Body | null | undefined): Promise<void> {
  if (body === null || body === undefined) request.end();
  else if (typeof body === "string" || body instanceof Uint8Array) request.end(body);
  else {
    const stream = body instanceof Blob ? body.stream() : body;
    await pipeline(Readable.fromWeb(stream as NodeStream<Uint8Array>), request);
  }
}
