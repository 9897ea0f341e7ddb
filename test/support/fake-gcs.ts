import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

/**
 * A stand-in, with a reason: there is no server for Google's JSON API that can be had in CI (the emulator of its makers is 300 MB
 * and enforces less than this). It knows what the driver uses of it: resumable and simple uploads, metadata, reads by range,
 * rewrites, removals. It asks for no credentials.
 */
export interface FakeGcs extends AsyncDisposable {
  readonly endpoint: string;
  /** Uploads that were begun, got some bytes, and were neither finished nor given up. */
  openUploads(): number;
}

interface Stored {
  readonly body: Buffer;
  readonly generation: number;
}

interface State {
  readonly objects: Map<string, Stored>;
  readonly uploads: Map<string, { readonly name: string; body: Buffer }>;
  generation: number;
}

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export async function startFakeGcs(): Promise<FakeGcs> {
  const state: State = { objects: new Map(), uploads: new Map(), generation: 1 };
  let endpoint = "";
  const server = createServer((request, response) => {
    answer(state, endpoint, request)
      .then((said) => send(response, said))
      .catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  endpoint = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  return {
    endpoint,
    openUploads: () => [...state.uploads.values()].filter(({ body }) => body.length > 0).length,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function send(response: ServerResponse, { status, headers = {}, body }: Answer): void {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body === undefined ? "" : JSON.stringify(body));
  const type = Buffer.isBuffer(body) ? "application/octet-stream" : "application/json";
  response.writeHead(status, { "content-type": type, "content-length": bytes.length, ...headers });
  response.end(bytes);
}

async function answer(state: State, endpoint: string, request: IncomingMessage): Promise<Answer> {
  const pieces: Buffer[] = [];
  for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
  const body = Buffer.concat(pieces);
  const url = new URL(request.url ?? "/", endpoint);
  if (url.pathname.startsWith("/upload/") || url.searchParams.has("upload_id"))
    return upload(state, endpoint, request, url, body);
  const copy = /\/o\/([^/]+)\/(?:rewriteTo|copyTo)\/b\/[^/]+\/o\/([^/]+)$/.exec(url.pathname);
  if (copy !== null) return rewrite(state, decodeURIComponent(copy[1]!), decodeURIComponent(copy[2]!));
  const name = /\/o\/([^/]+)$/.exec(url.pathname)?.[1];
  if (name === undefined) return { status: 200, body: { items: [] } };
  return onObject(state, request, url, decodeURIComponent(name));
}

const missing: Answer = { status: 404, body: { error: { code: 404, message: "No such object" } } };

function metadata(name: string, { body, generation }: Stored): Record<string, string> {
  return {
    kind: "storage#object",
    name,
    size: String(body.length),
    generation: String(generation),
    updated: new Date().toISOString(),
    crc32c: crc32c(body),
  };
}

/** Castagnoli's polynomial, bits reversed; the client holds what it sent against this. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

function crc32c(body: Buffer): string {
  let value = 0xffffffff;
  for (const byte of body) value = TABLE[(value ^ byte) & 0xff]! ^ (value >>> 8);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE((value ^ 0xffffffff) >>> 0);
  return bytes.toString("base64");
}

function put(state: State, name: string, body: Buffer): Answer {
  const stored = { body, generation: (state.generation += 1) };
  state.objects.set(name, stored);
  return { status: 200, body: metadata(name, stored) };
}

function upload(state: State, endpoint: string, request: IncomingMessage, url: URL, body: Buffer): Answer {
  const id = url.searchParams.get("upload_id");
  if (id === null && url.searchParams.get("uploadType") === "multipart")
    return putMultipart(state, request, url, body);
  if (id === null) {
    const name = url.searchParams.get("name") ?? (JSON.parse(body.toString()) as { name: string }).name;
    const created = randomUUID();
    state.uploads.set(created, { name, body: Buffer.alloc(0) });
    return { status: 200, headers: { location: `${endpoint}/upload/resume?upload_id=${created}` } };
  }
  const open = state.uploads.get(id);
  if (open === undefined) return missing;
  if (request.method === "DELETE") {
    state.uploads.delete(id);
    return { status: 499 };
  }
  return resume(state, id, open, request.headers["content-range"] ?? "", body);
}

/** Of the form `bytes 0-8388607/*`, `bytes 8388608-9000000/9000001`, or `bytes * /*` to ask how far it came. */
function resume(
  state: State,
  id: string,
  open: { readonly name: string; body: Buffer },
  range: string,
  body: Buffer,
): Answer {
  const [, from = "", total = "*"] = /^bytes (\d+|\*)(?:-(?:\d+|\*))?\/(\d+|\*)$/.exec(range) ?? [];
  if (from !== "*") open.body = Buffer.concat([open.body.subarray(0, Number(from || 0)), body]);
  if (range === "" || total === String(open.body.length)) {
    state.uploads.delete(id);
    return put(state, open.name, open.body);
  }
  const headers: Record<string, string> =
    open.body.length === 0 ? {} : { range: `bytes=0-${open.body.length - 1}` };
  return { status: 308, headers };
}

function putMultipart(state: State, request: IncomingMessage, url: URL, body: Buffer): Answer {
  const boundary = /boundary=("?)([^";]+)\1/.exec(request.headers["content-type"] ?? "")?.[2] ?? "";
  const text = body.toString("latin1");
  const parts = text.split(`--${boundary}`).slice(1, -1);
  const contentOf = (part: string): string => part.slice(part.indexOf("\r\n\r\n") + 4, -2);
  const name =
    url.searchParams.get("name") ?? (JSON.parse(contentOf(parts[0] ?? "")) as { readonly name: string }).name;
  return put(state, name, Buffer.from(contentOf(parts[1] ?? ""), "latin1"));
}

function rewrite(state: State, from: string, to: string): Answer {
  const source = state.objects.get(from);
  if (source === undefined) return missing;
  put(state, to, source.body);
  const size = String(source.body.length);
  const resource = metadata(to, state.objects.get(to)!);
  return { status: 200, body: { done: true, objectSize: size, totalBytesRewritten: size, resource } };
}

function onObject(state: State, request: IncomingMessage, url: URL, name: string): Answer {
  const stored = state.objects.get(name);
  if (stored === undefined) return missing;
  if (request.method === "DELETE") {
    state.objects.delete(name);
    return { status: 204 };
  }
  if (url.searchParams.get("alt") !== "media") return { status: 200, body: metadata(name, stored) };
  const hash = `crc32c=${crc32c(stored.body)}`;
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
  if (from === undefined) return { status: 200, headers: { "x-goog-hash": hash }, body: stored.body };
  const part = stored.body.subarray(Number(from), to === "" || to === undefined ? undefined : Number(to) + 1);
  const range = `bytes ${from}-${Number(from) + part.length - 1}/${stored.body.length}`;
  return { status: 206, headers: { "content-range": range }, body: part };
}
