import { readdirSync, readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join } from "node:path";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Nothing but the page's own files, no inline code, no frame around it, and no form that could be sent elsewhere. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const HEADERS = {
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
} as const;

interface Page {
  readonly type: string;
  readonly bytes: Buffer;
  readonly zipped: Buffer;
  /** Its name changes with its content. */
  readonly isForEver: boolean;
}

/** The files of the dashboard. */
export interface Dashboard {
  /** Answers if the path is one of the page's; otherwise leaves the request alone. */
  answer(request: IncomingMessage, response: ServerResponse): boolean;
}

/**
 * Reads the dashboard's files once: together they are smaller than one picture.
 *
 * @param folder as `scripts/build.mjs` leaves it. One that is not there (sources that were never built) is no error: then there is
 * no page, and the door says that there is no such route.
 */
export function openDashboard(folder: string): Dashboard {
  const pages = readPages(folder);
  return {
    answer(request, response) {
      const path = (request.url ?? "").split("?", 1)[0] ?? "";
      const page = pages.get(path === "/" ? "/index.html" : path);
      if (page === undefined || (request.method !== "GET" && request.method !== "HEAD")) return false;
      send(request, response, page);
      return true;
    },
  };
}

function send(request: IncomingMessage, response: ServerResponse, page: Page): void {
  const isZipped = /\bgzip\b/.test(request.headers["accept-encoding"] ?? "");
  const body = isZipped ? page.zipped : page.bytes;
  response.writeHead(200, {
    ...HEADERS,
    "content-type": page.type,
    "content-length": body.byteLength,
    vary: "Accept-Encoding",
    ...(isZipped ? { "content-encoding": "gzip" } : {}),
    "cache-control": page.isForEver ? "public, max-age=31536000, immutable" : "no-cache",
  });
  response.end(request.method === "HEAD" ? undefined : body);
  request.resume();
}

function readPages(folder: string): ReadonlyMap<string, Page> {
  const pages = new Map<string, Page>();
  for (const name of namesIn(folder)) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    const file = join(folder, name);
    pages.set(`/${name}`, {
      type,
      bytes: readFileSync(file),
      zipped: readFileSync(`${file}.gz`),
      isForEver: name.startsWith("assets/"),
    });
  }
  return pages;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: "utf8" });
  } catch {
    return [];
  }
}
