import { createHash, randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

/**
 * A stand-in, with a reason: no S3 server fails on request. It keeps objects in memory, checks no signature, and answers each
 * request as the test's script says; what S3 itself promises is tested against a real server (artifact-store-s3.test.ts).
 */
export interface FakeS3 extends AsyncDisposable {
  readonly endpoint: string;
  /** Asked for each request; `undefined` lets it pass. */
  script(next: (request: FakeRequest) => Fault | undefined): void;
  /** What was asked for so far, as `kind` names it. */
  readonly requests: FakeRequest[];
  readonly objects: ReadonlyMap<string, Buffer>;
  openUploads(): number;
}

export type FakeKind = "put" | "create" | "part" | "complete" | "abort" | "get" | "head" | "delete" | "copy";

export interface FakeRequest {
  readonly kind: FakeKind;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
}

export type Fault =
  /** An error of S3's own. */
  | { readonly type: "error"; readonly status: number; readonly code: string }
  /** The connection is cut while the request is still coming in. */
  | { readonly type: "reset" }
  /** No answer at all. */
  | { readonly type: "stall" }
  /** The answer is cut, or falls silent, after half of its body. */
  | { readonly type: "half"; readonly then: "cut" | "silence" }
  /** An error in the body of an answer that began with 200. */
  | { readonly type: "error-in-200" }
  /** It is done, and the answer is lost. */
  | { readonly type: "lost-answer" };

interface State {
  readonly objects: Map<string, Buffer>;
  readonly uploads: Map<string, Map<number, Buffer>>;
  readonly tags: Map<string, string>;
}

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
}

export async function startFakeS3(): Promise<FakeS3> {
  const state: State = { objects: new Map(), uploads: new Map(), tags: new Map() };
  const requests: FakeRequest[] = [];
  let script: (request: FakeRequest) => Fault | undefined = () => undefined;
  const server = createServer((request, response) => {
    const asked = { kind: kindOf(request), path: pathOf(request), headers: request.headers };
    requests.push(asked);
    // Whatever the peer does to the connection is part of the test.
    serve(state, request, response, asked, script(asked)).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    script: (next) => void (script = next),
    requests,
    objects: state.objects,
    openUploads: () => state.uploads.size,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const urlOf = (request: IncomingMessage): URL => new URL(request.url ?? "/", "http://s3");
const pathOf = (request: IncomingMessage): string => urlOf(request).pathname;

function kindOf(request: IncomingMessage): FakeKind {
  const query = urlOf(request).searchParams;
  switch (request.method) {
    case "PUT":
      if (request.headers["x-amz-copy-source"] !== undefined) return "copy";
      return query.has("partNumber") ? "part" : "put";
    case "POST":
      return query.has("uploads") ? "create" : "complete";
    case "DELETE":
      return query.has("uploadId") ? "abort" : "delete";
    case "HEAD":
      return "head";
    default:
      return "get";
  }
}

async function serve(
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
  asked: FakeRequest,
  fault: Fault | undefined,
): Promise<void> {
  if (fault?.type === "reset") {
    request.once("data", () => request.socket.destroy());
    if (request.headers["content-length"] === undefined) request.socket.destroy();
    return;
  }
  const pieces: Buffer[] = [];
  for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
  if (fault?.type === "stall") return;
  const answer = errorOf(fault) ?? act(state, request, asked, Buffer.concat(pieces));
  if (fault?.type === "lost-answer") request.socket.destroy();
  else if (fault?.type === "half") sendHalf(response, answer, fault.then);
  else send(response, answer);
}

function errorOf(fault: Fault | undefined): Answer | undefined {
  if (fault?.type === "error") return failure(fault.status, fault.code);
  return fault?.type === "error-in-200" ? { ...failure(500, "InternalError"), status: 200 } : undefined;
}

const failure = (status: number, code: string): Answer => ({
  status,
  headers: { "content-type": "application/xml" },
  body: `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`,
});

function send(response: ServerResponse, { status, headers = {}, body = "" }: Answer): void {
  response.writeHead(status, { "content-length": Buffer.byteLength(body), ...headers });
  response.end(body);
}

function sendHalf(response: ServerResponse, answer: Answer, then: "cut" | "silence"): void {
  const body = Buffer.from(answer.body ?? "");
  response.writeHead(answer.status, { ...answer.headers, "content-length": body.length });
  response.write(body.subarray(0, body.length >> 1), () => {
    if (then === "cut") response.socket?.destroy();
  });
}

function act(state: State, request: IncomingMessage, { kind, path }: FakeRequest, body: Buffer): Answer {
  const query = urlOf(request).searchParams;
  const id = query.get("uploadId") ?? "";
  switch (kind) {
    case "put":
      return put(state, path, body, md5(body));
    case "copy": {
      const source = state.objects.get(
        `/${decodeURIComponent(String(request.headers["x-amz-copy-source"]))}`,
      );
      if (source === undefined) return failure(404, "NoSuchKey");
      put(state, path, source, md5(source));
      return xml(`<CopyObjectResult><ETag>"${md5(source)}"</ETag></CopyObjectResult>`);
    }
    case "create": {
      const UploadId = randomUUID();
      state.uploads.set(UploadId, new Map());
      return xml(
        `<InitiateMultipartUploadResult><UploadId>${UploadId}</UploadId></InitiateMultipartUploadResult>`,
      );
    }
    case "part": {
      const parts = state.uploads.get(id);
      if (parts === undefined) return failure(404, "NoSuchUpload");
      parts.set(Number(query.get("partNumber")), body);
      return { status: 200, headers: { etag: `"${md5(body)}"` } };
    }
    case "complete":
      return complete(state, path, id);
    case "abort":
      return state.uploads.delete(id) ? { status: 204 } : failure(404, "NoSuchUpload");
    case "delete":
      state.objects.delete(path);
      return { status: 204 };
    default:
      return read(state, request, kind, path);
  }
}

const md5 = (body: Buffer): string => createHash("md5").update(body).digest("hex");
const xml = (body: string): Answer => ({ status: 200, headers: { "content-type": "application/xml" }, body });

function put(state: State, path: string, body: Buffer, tag: string): Answer {
  state.objects.set(path, body);
  state.tags.set(path, `"${tag}"`);
  return { status: 200, headers: { etag: `"${tag}"` } };
}

function complete(state: State, path: string, id: string): Answer {
  const parts = state.uploads.get(id);
  if (parts === undefined) return failure(404, "NoSuchUpload");
  state.uploads.delete(id);
  const bodies = [...parts].sort(([a], [b]) => a - b).map(([, body]) => body);
  const tag = `${md5(Buffer.concat(bodies))}-${bodies.length}`;
  put(state, path, Buffer.concat(bodies), tag);
  return xml(`<CompleteMultipartUploadResult><ETag>"${tag}"</ETag></CompleteMultipartUploadResult>`);
}

function read(state: State, request: IncomingMessage, kind: FakeKind, path: string): Answer {
  const whole = state.objects.get(path);
  const tag = state.tags.get(path) ?? "";
  if (whole === undefined) return kind === "head" ? { status: 404 } : failure(404, "NoSuchKey");
  const wanted = request.headers["if-match"];
  if (wanted !== undefined && wanted !== tag) return failure(412, "PreconditionFailed");
  const headers = { etag: tag, "last-modified": new Date(0).toUTCString() };
  if (kind === "head")
    return { status: 200, headers: { ...headers, "content-length": String(whole.length) } };
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
  if (from === undefined) return { status: 200, headers, body: whole };
  const end = to === "" || to === undefined ? whole.length : Number(to) + 1;
  const part = whole.subarray(Number(from), end);
  const range = `bytes ${from}-${Number(from) + part.length - 1}/${whole.length}`;
  return { status: 206, headers: { ...headers, "content-range": range }, body: part };
}
