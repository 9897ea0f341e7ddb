import { type AnswerHead, ExecutorError } from "../../core/index.ts";

/** Status line and header lines of one answer, in bytes, the empty line included. */
export const HEAD_LIMIT_BYTES = 16 * 1024;

/** How the end of an answer's body is known. */
export type Framing = "none" | "length" | "chunked" | "close";

/** An answer's head and what follows from it for its connection. */
export interface ParsedHead {
  readonly head: AnswerHead;
  readonly framing: Framing;
  /** Bytes of the body when `framing` is `length`. */
  readonly length: number;
  readonly isKeepAlive: boolean;
  /** How long the server says that it keeps an idle connection, in milliseconds. */
  readonly keepAliveMs: number | undefined;
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// Neither a control character nor a lone CR may hide a second header in a value.
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const CONTENT_LENGTH = /^\d{1,15}$/;

/**
 * Parses a head, strictly where framing and injection are concerned: RFC 9112 sections 4, 5 and 6.3. A bare LF ends a line
 * as section 2.2 allows, because CGI-like task servers write it.
 *
 * @param text the head as latin1, its empty line included or not.
 * @throws {@link ExecutorError} TASK_PROTOCOL.
 */
export function parseHead(text: string): ParsedHead {
  const lines = text.split(/\r?\n/);
  const [, minor, statusText] = STATUS_LINE.exec(lines[0] ?? "") ?? [];
  if (minor === undefined) throw broken("no HTTP/1.1 status line");
  const headers: (readonly [string, string])[] = [];
  for (const line of lines.slice(1)) if (line !== "") headers.push(parseHeader(line));
  return frame(Number(statusText), minor === "1", headers);
}

function parseHeader(line: string): readonly [string, string] {
  const colon = line.indexOf(":");
  const name = line.slice(0, Math.max(colon, 0));
  const value = line.slice(colon + 1).replace(/^[\t ]+|[\t ]+$/g, "");
  if (!HEADER_NAME.test(name) || !HEADER_VALUE.test(value)) throw broken("a malformed header line");
  return [name.toLowerCase(), value];
}

type Headers = AnswerHead["headers"];

function frame(status: number, isHttp11: boolean, headers: Headers): ParsedHead {
  const declared = only(headers, "content-length");
  if (declared !== undefined && !CONTENT_LENGTH.test(declared)) throw broken("a malformed Content-Length");
  const framing = framingOf(status, isHttp11, declared, only(headers, "transfer-encoding")?.toLowerCase());
  const length = framing === "length" ? Number(declared) : undefined;
  const options = tokens(headers, "connection");
  const isPersistent = isHttp11 || options.includes("keep-alive");
  return {
    head: {
      status,
      headers,
      contentType: headers.find(([name]) => name === "content-type")?.[1],
      contentLength: length,
    },
    framing,
    length: length ?? 0,
    isKeepAlive: framing !== "close" && isPersistent && !options.includes("close"),
    keepAliveMs: keepAliveMs(headers),
  };
}

function framingOf(
  status: number,
  isHttp11: boolean,
  length: string | undefined,
  coding: string | undefined,
): Framing {
  if (coding !== undefined && coding !== "chunked") throw broken("an unknown Transfer-Encoding");
  if (coding !== undefined && (length !== undefined || !isHttp11)) throw broken("a conflicting body length");
  if (hasNoBody(status)) return "none";
  if (coding !== undefined) return "chunked";
  return length === undefined ? "close" : "length";
}

function hasNoBody(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}

/** The value of a header that may occur once only; a repeated one is how two readers come to see two bodies. */
function only(headers: Headers, wanted: string): string | undefined {
  const found = headers.filter(([name]) => name === wanted);
  if (found.length > 1) throw broken(`more than one ${wanted} header`);
  return found[0]?.[1];
}

function tokens(headers: Headers, wanted: string): readonly string[] {
  return headers
    .filter(([name]) => name === wanted)
    .flatMap(([, value]) => value.toLowerCase().split(","))
    .map((token) => token.trim());
}

/** `Keep-Alive: timeout=5`, as Node, Apache and others announce it. */
function keepAliveMs(headers: Headers): number | undefined {
  const seconds = /(?:^|[,\s])timeout=(\d{1,6})(?:$|[,\s])/i.exec(
    headers.find(([name]) => name === "keep-alive")?.[1] ?? "",
  )?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

export function broken(reason: string): ExecutorError {
  return new ExecutorError("TASK_PROTOCOL", { reason });
}
