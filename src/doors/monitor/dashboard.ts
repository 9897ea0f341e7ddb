import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";

/** What a browser shows by itself, and another name of it. */
const PATHS: readonly string[] = ["/", "/index.html"];

const HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  "cache-control": "no-cache",
  vary: "Accept-Encoding",
} as const;

interface Page {
  readonly bytes: Buffer;
  readonly zipped: Buffer;
  /** Changes with the content, so that a browser that has it is not sent it again. */
  readonly tag: string;
  readonly policy: string;
}

/** The dashboard: one page that holds all it needs, so that whoever has got it has got all of it. */
export interface Dashboard {
  /** Answers if the path is the page's; otherwise leaves the request alone. */
  answer(request: IncomingMessage, response: ServerResponse): boolean;
}

/** Whether this is a path of the page, which links on other pages may lead to. */
export function isPagePath(path: string): boolean {
  return PATHS.includes(path);
}

/**
 * Reads the dashboard's page once: it is smaller than a picture.
 *
 * @param folder as `scripts/build.mjs` leaves it. One that is not there (sources that were never built) is no error: then there is
 * no page, and the door says that there is no such route.
 */
export function openDashboard(folder: string): Dashboard {
  const page = readPage(folder);
  return {
    answer(request, response) {
      const path = (request.url ?? "").split("?", 1)[0] ?? "";
      const isRead = request.method === "GET" || request.method === "HEAD";
      if (page === undefined || !isPagePath(path) || !isRead) return false;
      send(request, response, page);
      return true;
    },
  };
}

function send(request: IncomingMessage, response: ServerResponse, page: Page): void {
  const isZipped = /\bgzip\b/.test(request.headers["accept-encoding"] ?? "");
  const etag = isZipped ? `"${page.tag}-gz"` : `"${page.tag}"`;
  const headers = { ...HEADERS, etag, "content-security-policy": page.policy };
  request.resume();
  if (isKnown(request, etag)) {
    response.writeHead(304, headers).end();
    return;
  }
  const body = isZipped ? page.zipped : page.bytes;
  response.writeHead(200, {
    ...headers,
    "content-length": body.byteLength,
    ...(isZipped ? { "content-encoding": "gzip" } : {}),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

/** Weakly, as RFC 9110 section 13.1.2 has it: a proxy may have made the tag a weak one. */
function isKnown(request: IncomingMessage, etag: string): boolean {
  const known = request.headers["if-none-match"] ?? "";
  return known.split(",").some((one) => one.trim().replace(/^W\//, "") === etag);
}

function readPage(folder: string): Page | undefined {
  const file = join(folder, "index.html");
  if (!existsSync(file)) return undefined;
  const bytes = readFileSync(file);
  const zipped = readFileSync(`${file}.gz`);
  const tag = createHash("sha256").update(bytes).digest("base64url");
  return { bytes, zipped, tag, policy: policyFor(bytes.toString("utf8")) };
}

/** Nothing runs and nothing is drawn but what the page itself holds; no frame around it, and no form that could be sent elsewhere. */
function policyFor(html: string): string {
  return [
    "default-src 'none'",
    `script-src ${hashesOf(html, "script")}`,
    `style-src ${hashesOf(html, "style")}`,
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** Of each element of that name in the page's head, as a browser would (Content Security Policy Level 3, section 2.3.1). */
function hashesOf(html: string, element: "script" | "style"): string {
  const found = html.matchAll(new RegExp(`<${element}(?: [^>]*)?>([^]*?)</${element}>`, "g"));
  const hashes = Array.from(found, ([, text = ""]) => {
    return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  });
  return hashes.length === 0 ? "'none'" : hashes.join(" ");
}
