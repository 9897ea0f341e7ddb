/** The longest head that is looked at here. */
const HEAD_LIMIT_BYTES = 8 * 1024;
/** The longest body that is held here; longer ones are read by the slow path, which watches their pace. */
const BODY_LIMIT_BYTES = 64 * 1024;

const REQUEST_LINE = Buffer.from("POST / HTTP/1.1\r\n");
const HEAD_END = Buffer.from("\r\n\r\n");
const HEADER = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*([\t\x20-\x7e]*)$/;
const CONTENT_LENGTH = /^(?:0|[1-9]\d{0,5})$/;

/**
 * Headers that change what a request means, or whether it may come in. A request with any of them is not served here; what
 * is not listed has no effect on the slow path either.
 */
const NOT_HERE = new Set([
  "transfer-encoding",
  "te",
  "trailer",
  "expect",
  "upgrade",
  "content-encoding",
  "content-range",
  "authorization",
  "proxy-authorization",
  "proxy-connection",
  "cookie",
  "origin",
  "referer",
  "idempotency-key",
  "access-control-request-method",
  "access-control-request-headers",
  "access-control-request-private-network",
]);
const NOT_HERE_PREFIXES = ["sec-", "hearth-"];

/** A head that is served here, and what of it counts. */
export interface FastHead {
  /** The head's own bytes, its empty line included. */
  readonly bytes: Buffer;
  readonly bodyLength: number;
}

/** `partial`: nothing speaks against it yet. `other`: the slow path's. */
export type FastHeadResult = FastHead | "partial" | "other";

/**
 * Reads the head of a plain execution request: `POST / HTTP/1.1`, one `Host`, one `Content-Length`, nothing that would
 * change how it is to be read. Any doubt is `other`; so it need not be lenient, and is never the one who refuses.
 */
export function readFastHead(bytes: Buffer, isPlainHost: (host: string) => boolean): FastHeadResult {
  const known = Math.min(bytes.length, REQUEST_LINE.length);
  if (REQUEST_LINE.compare(bytes, 0, known, 0, known) !== 0) return "other";
  const end = bytes.indexOf(HEAD_END);
  if (end === -1) return bytes.length < HEAD_LIMIT_BYTES ? "partial" : "other";
  if (end > HEAD_LIMIT_BYTES) return "other";
  const bodyLength = readHeaders(bytes.toString("latin1", REQUEST_LINE.length, end), isPlainHost);
  if (bodyLength === undefined) return "other";
  return { bytes: Buffer.from(bytes.subarray(0, end + HEAD_END.length)), bodyLength };
}

type Header = readonly [name: string, value: string];

/** The body's length if every header is plain. */
function readHeaders(text: string, isPlainHost: (host: string) => boolean): number | undefined {
  const headers: Header[] = [];
  for (const line of text.split("\r\n")) {
    const [, name, value = ""] = HEADER.exec(line) ?? [];
    if (name === undefined) return undefined;
    headers.push([name.toLowerCase(), value.trimEnd()]);
  }
  if (headers.some(changesMeaning)) return undefined;
  const host = only(headers, "host");
  const length = only(headers, "content-length");
  if (host === undefined || length === undefined) return undefined;
  if (!isPlainHost(host) || !CONTENT_LENGTH.test(length) || Number(length) > BODY_LIMIT_BYTES)
    return undefined;
  return Number(length);
}

function changesMeaning([name, value]: Header): boolean {
  if (name === "connection") return value.toLowerCase() !== "keep-alive";
  // Of these only `Sec-Fetch-Site` says where a request comes from; Node's `fetch` sends the mode and nothing else.
  if (name === "sec-fetch-mode") return false;
  return NOT_HERE.has(name) || NOT_HERE_PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** The value of a header that is there exactly once. */
function only(headers: readonly Header[], wanted: string): string | undefined {
  const found = headers.filter(([name]) => name === wanted);
  return found.length === 1 ? found[0]?.[1] : undefined;
}
