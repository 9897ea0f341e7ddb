import type { Scope } from "../../../contract/v1/route.ts";
import { readBody } from "../body/read-body.ts";
import { traceHeaders } from "../calls/to-call.ts";
import type { DoorParts } from "../parts.ts";
import type { RequestContext } from "../request-context.ts";
import type { RouteEntry } from "../route-entry.ts";
import { answerLegacyCall } from "./answer-over-node.ts";
import type { LegacyCaller } from "./call-legacy.ts";
import { pause, stop, unpause, updateConfig } from "./control.ts";
import { openHealth, stats } from "./look.ts";

type Answer = (parts: DoorParts, context: RequestContext) => Promise<void> | void;

/** The contract's own paths (`contracts/meca.md` section 2). Health needs no token: probes have none. */
export function legacyRoutes(parts: DoorParts, legacy: LegacyCaller): RouteEntry[] {
  const route = (
    method: "GET" | "POST",
    url: string,
    scopes: readonly Scope[],
    answer: Answer,
  ): RouteEntry => ({
    method,
    url,
    scopes,
    startsCall: url === "/",
    hasHead: method === "GET",
    answer: (context) => answer(parts, context),
  });
  const call: Answer = async (_, context) => {
    const headers = parts.options.isTraced === true ? traceHeaders(context) : undefined;
    answerLegacyCall(legacy, await readBody(parts, context), context.response, context.runId, headers);
  };
  return [
    route("POST", "/", ["run"], call),
    route("GET", "/stats", ["read"], stats),
    route(
      "GET",
      "/health",
      [],
      openHealth(() => performance.now()),
    ),
    route("POST", "/pause", ["control"], pause),
    route("POST", "/unpause", ["control"], unpause),
    route("POST", "/update-config", ["control"], updateConfig),
    route("POST", "/stop", ["control"], stop),
  ];
}
