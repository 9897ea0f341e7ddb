import type { IncomingHttpHeaders } from "node:http";
import type { Endpoint } from "../../../core/index.ts";

/** Where a request for a sandbox goes. */
export type Route =
  | { readonly type: "unknown" }
  | { readonly type: "not-running" }
  /** `gone` aborts when the sandbox ends, and its connections with it. */
  | { readonly type: "open"; readonly endpoint: Endpoint; readonly gone: AbortSignal };

/** Why a request is not brought to its sandbox: an answer of the proxy's own (`contracts/indexify.md` section 4.8). */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly error: string;
}

export const SANDBOX_ID_HEADER = "x-tensorlake-sandbox-id";
export const SANDBOX_PORT_HEADER = "x-tensorlake-sandbox-port";
/** Where the reference's own program in a sandbox answers. */
const DEFAULT_PORT = 9501;

/** Goes by the two headers alone: neither the request's path nor its `Host` ever chooses where it goes. */
export function chooseRoute(
  headers: IncomingHttpHeaders,
  route: (sandboxId: string, port: number) => Route,
): (Route & { readonly type: "open" }) | Refusal {
  const id = headers[SANDBOX_ID_HEADER];
  if (typeof id !== "string" || id === "") {
    return { status: 400, code: "MISSING_SANDBOX_ID", error: `the header ${SANDBOX_ID_HEADER} is missing` };
  }
  const port = portOf(headers[SANDBOX_PORT_HEADER]);
  if (port === undefined) {
    return { status: 400, code: "INVALID_SANDBOX_PORT", error: `${SANDBOX_PORT_HEADER} is no port` };
  }
  const found = route(id, port);
  if (found.type === "open") return found;
  return found.type === "unknown"
    ? { status: 404, code: "SANDBOX_NOT_FOUND", error: "there is no such sandbox on this host" }
    : {
        status: 503,
        code: "SANDBOX_NOT_RUNNING",
        error: "the sandbox does not run, or that port of it cannot be reached",
      };
}

function portOf(text: string | readonly string[] | undefined): number | undefined {
  if (text === undefined) return DEFAULT_PORT;
  if (typeof text !== "string" || !/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= 65_535 ? port : undefined;
}
