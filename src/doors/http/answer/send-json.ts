import type { ServerResponse } from "node:http";
import { skipLongBody } from "./linger.ts";

export type Headers = Readonly<Record<string, string | number>>;

/** Writes a whole answer with a JSON body. What has been answered already is left alone. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Headers = {},
): void {
  sendText(response, status, `${JSON.stringify(body)}\n`, {
    "content-type": "application/json; charset=utf-8",
    ...headers,
  });
}

/** Writes a whole answer. */
export function sendText(
  response: ServerResponse,
  status: number,
  body: string | Uint8Array,
  headers: Headers,
): void {
  if (response.headersSent || response.destroyed) return;
  skipLongBody(response.req, response);
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  response.writeHead(status, {
    ...headers,
    "content-length": bytes.byteLength,
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
  });
  response.end(bytes);
}

/** Writes an answer that has no body by its status. */
export function sendEmpty(response: ServerResponse, status: 204, headers: Headers = {}): void {
  if (response.headersSent || response.destroyed) return;
  skipLongBody(response.req, response);
  response.writeHead(status, headers);
  response.end();
}
