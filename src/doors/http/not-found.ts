import type { Route } from "../../contract/v1/route.ts";
import { ROUTES } from "../../contract/v1/routes.ts";
import { ExecutorError } from "../../core/index.ts";
import { sendEmpty } from "./answer/send-json.ts";
import { sendLegacy } from "./legacy/send-legacy.ts";
import type { RequestContext } from "./request-context.ts";

/** The contract's own paths and their method. */
export const LEGACY_PATHS: Readonly<Record<string, "GET" | "POST">> = {
  "/": "POST",
  "/stats": "GET",
  "/health": "GET",
  "/pause": "POST",
  "/unpause": "POST",
  "/update-config": "POST",
  "/stop": "POST",
};

const PATTERNS = Object.values<Route>(ROUTES).map(({ path, method }) => ({
  method,
  pattern: new RegExp(`^${path.replace(/\./g, "\\.").replace(/\{\w+\}/g, "[^/]+")}$`),
}));

/** Answers what no route takes: 405 with the methods that the path has, or 404; in the style of the API it belongs to. */
export function notFound({ request, response }: RequestContext): void {
  const path = (request.url ?? "").split("?", 1)[0] ?? "";
  const methods = methodsOf(path);
  if (methods.length > 0) response.setHeader("allow", [...methods, "OPTIONS"].join(", "));
  if (request.method === "OPTIONS" && (methods.length > 0 || path === "*")) {
    answerOptions(response, methods);
    return;
  }
  const legacy = LEGACY_PATHS[path];
  if (legacy !== undefined) {
    sendLegacy(response, 405, { success: false, msg: `this path takes ${legacy}` });
    return;
  }
  if (methods.length > 0)
    throw new ExecutorError("METHOD_NOT_ALLOWED", { reason: `this path takes ${methods.join(", ")}` });
  throw new ExecutorError("ROUTE_NOT_FOUND", { path: path.slice(0, 200) });
}

/** Also what a browser asks before a page of an allowed origin may use the API. */
function answerOptions(response: RequestContext["response"], methods: readonly string[]): void {
  if (!response.hasHeader("access-control-allow-origin")) {
    sendEmpty(response, 204);
    return;
  }
  sendEmpty(response, 204, {
    "access-control-allow-methods": methods.join(", "),
    "access-control-allow-headers":
      "authorization, content-type, accept, idempotency-key, prefer, traceparent",
    "access-control-max-age": "600",
  });
}

function methodsOf(path: string): string[] {
  const legacy = LEGACY_PATHS[path];
  const found = PATTERNS.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method);
  const methods = new Set<string>([...found, ...(legacy === undefined ? [] : [legacy])]);
  if (methods.has("GET")) methods.add("HEAD");
  return [...methods];
}
