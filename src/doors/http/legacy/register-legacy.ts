import type { FastifyInstance } from "fastify";
import type { Scope } from "../../../contract/v1/route.ts";
import { readBody } from "../body/read-body.ts";
import type { DoorParts } from "../parts.ts";
import type { RequestContext } from "../request-context.ts";
import type { Enter } from "../v1/register-v1.ts";
import { answerLegacyCall } from "./answer-over-node.ts";
import type { LegacyCaller } from "./call-legacy.ts";
import { pause, stop, unpause, updateConfig } from "./control.ts";
import { openHealth, stats } from "./look.ts";

type Answer = (parts: DoorParts, context: RequestContext) => Promise<void> | void;

/** Puts the contract's own paths on the server (`contracts/meca.md` section 2). Health needs no token: probes have none. */
export function registerLegacy(
  app: FastifyInstance,
  parts: DoorParts,
  enter: Enter,
  legacy: LegacyCaller,
): void {
  const route = (method: "GET" | "POST", url: string, scopes: readonly Scope[], answer: Answer): void => {
    app.route({
      method,
      url,
      exposeHeadRoute: method === "GET",
      handler: (request, reply) => {
        enter(request, reply, scopes, (context) => answer(parts, context));
      },
    });
  };
  route("POST", "/", ["run"], async (_parts, context) => {
    answerLegacyCall(legacy, await readBody(parts, context), context.response);
  });
  route("GET", "/stats", ["read"], stats);
  route(
    "GET",
    "/health",
    [],
    openHealth(() => performance.now()),
  );
  route("POST", "/pause", ["control"], pause);
  route("POST", "/unpause", ["control"], unpause);
  route("POST", "/update-config", ["control"], updateConfig);
  route("POST", "/stop", ["control"], stop);
}
