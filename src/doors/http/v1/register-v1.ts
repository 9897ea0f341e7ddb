import type { FastifyInstance } from "fastify";
import * as z from "zod";
import type { Route } from "../../../contract/v1/route.ts";
import type { RouteName } from "../../../contract/v1/routes.ts";
import { ROUTES } from "../../../contract/v1/routes.ts";
import { ExecutorError } from "../../../core/index.ts";
import { check, parseJson } from "../body/parse-json.ts";
import { readBody } from "../body/read-body.ts";
import type { DoorParts } from "../parts.ts";
import type { RequestContext } from "../request-context.ts";
import { call } from "./call.ts";
import { getConfig, patchConfig } from "./config.ts";
import { drain, pause, unpause } from "./control.ts";
import type { Handler, RouteInput } from "./handler.ts";
import { getHost, getStats } from "./host.ts";
import { readLogs } from "./logs.ts";
import { openapi } from "./openapi.ts";
import { listTasks, prefetch } from "./prefetch.ts";
import { cancelRun, followRun, getAnswer, getRun, listRuns } from "./runs.ts";
import { evictSandbox, getSandbox, listSandboxes, listWaiting } from "./sandboxes.ts";
import { startRun } from "./start-run.ts";

const HANDLERS: { readonly [N in RouteName]: Handler<N> } = {
  call,
  startRun,
  listRuns,
  getRun,
  followRun,
  getAnswer,
  cancelRun,
  listSandboxes,
  getSandbox,
  evictSandbox,
  readLogs,
  listWaiting,
  prefetch,
  listTasks,
  getHost,
  getStats,
  getConfig,
  patchConfig,
  pause,
  unpause,
  drain,
  openapi,
};

const ANSWERS_THAT_GO_ON = new Set<RouteName>(["followRun", "readLogs"]);

/** How the door enters a request into its common path: guards, errors, the answer's end. */
export type Enter = (
  request: import("fastify").FastifyRequest,
  reply: import("fastify").FastifyReply,
  scopes: Route["scopes"],
  answer: (context: RequestContext) => Promise<void> | void,
) => void;

/** Puts every row of the route table on the server. */
export function registerV1(app: FastifyInstance, parts: DoorParts, enter: Enter): void {
  for (const name of Object.keys(ROUTES) as RouteName[]) {
    const route: Route = ROUTES[name];
    // The table pairs each handler with its own route's schemas; only here are all of them one type.
    const handler = HANDLERS[name] as Handler<RouteName>;
    app.route({
      method: route.method,
      url: route.path.replace(/\{(\w+)\}/g, ":$1"),
      exposeHeadRoute: route.method === "GET" && !ANSWERS_THAT_GO_ON.has(name),
      handler: (request, reply) => {
        enter(request, reply, route.scopes, async (context) => {
          const params = route.params && check(route.params, request.params);
          const query = route.query && check(route.query, request.query);
          const body = await bodyOf(parts, context, route);
          await handler(parts, context, { params, query, body } as RouteInput<RouteName>);
        });
      },
    });
  }
}

async function bodyOf(parts: DoorParts, context: RequestContext, { body }: Route): Promise<unknown> {
  if (!(body instanceof z.ZodType)) return undefined;
  const contentType = context.request.headers["content-type"];
  if (contentType !== undefined && !/^\s*application\/(?:[\w.-]+\+)?json\b/i.test(contentType)) {
    throw new ExecutorError("MEDIA_TYPE_UNSUPPORTED", {
      field: "Content-Type",
      reason: "this route takes application/json",
    });
  }
  return check(body, parseJson(await readBody(parts, context)));
}
