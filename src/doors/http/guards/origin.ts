import type { IncomingHttpHeaders } from "node:http";
import { ExecutorError } from "../../../core/index.ts";

/** Types that a page may send to another origin without asking first. */
const FORM_TYPES = /^\s*(?:text\/plain|application\/x-www-form-urlencoded|multipart\/form-data)\b/i;

/**
 * Turns away what a web page of another origin makes a browser send. Programs send none of these headers and pass.
 *
 * @param options `isPage`: what is asked for with GET is a page that says nothing by itself. Somebody who follows a link to it may
 * come from anywhere; the other page learns nothing of what is shown then.
 * @returns the origin to allow in the answer, if a configured one asked.
 * @throws {@link ExecutorError} ORIGIN_FORBIDDEN.
 */
export function checkOrigin(
  headers: IncomingHttpHeaders,
  allowed: ReadonlySet<string>,
  { isPage }: { readonly isPage: boolean },
): string | undefined {
  const { origin, host, referer } = headers;
  if (origin !== undefined) {
    if (allowed.has(origin)) return origin;
    if (!isSame(origin, host)) throw new ExecutorError("ORIGIN_FORBIDDEN", { origin: clip(origin) });
    return undefined;
  }
  const site = headers["sec-fetch-site"];
  if ((site === "cross-site" || site === "same-site") && !(isPage && isVisit(headers))) {
    throw new ExecutorError("ORIGIN_FORBIDDEN", { reason: `the request is ${site}` });
  }
  if (site === undefined && referer !== undefined && FORM_TYPES.test(headers["content-type"] ?? "")) {
    throw new ExecutorError("ORIGIN_FORBIDDEN", { reason: "the request looks like a web page's form" });
  }
  return undefined;
}

/** Whether it is to be shown on its own, instead of the page that led to it: neither fetched by a page nor shown inside of one. */
function isVisit(headers: IncomingHttpHeaders): boolean {
  return headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
}

function isSame(origin: string, host: string | undefined): boolean {
  return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`);
}

function clip(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
