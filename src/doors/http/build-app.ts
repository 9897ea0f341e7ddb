import type { Server } from "node:http";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import fastify from "fastify";
import { asId, ExecutorError } from "../../core/index.ts";
import { dispatch } from "./dispatch.ts";
import type { Guard } from "./guards/guard.ts";
import type { BoundedServer } from "./http-server.ts";
import { boundedServer } from "./http-server.ts";
import { notFound } from "./not-found.ts";
import type { DoorParts } from "./parts.ts";
import { RequestContext } from "./request-context.ts";
import type { RouteEntry } from "./route-entry.ts";
import { nextRunId } from "./run-id.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    readonly entry?: RouteEntry;
  }
}

/** What no route takes. */
const NO_ROUTE = { scopes: [], startsCall: false } as const;

export interface App {
  readonly app: FastifyInstance;
  readonly server: Server;
}

/**
 * Puts routes on a server that does not listen yet. Fastify finds the route, and answers `inject`; everything after that is
 * the door's own, so that the limits on bodies, the guards and the errors are the same on every path.
 */
export function buildApp(parts: DoorParts, guard: Guard, routes: readonly RouteEntry[]): App {
  let bounded: BoundedServer | undefined;
  const app = fastify({
    logger: false,
    genReqId: nextRunId,
    // Streams that never end by themselves are ended by us; idle connections by fastify; answers under way go on.
    forceCloseConnections: "idle",
    return503OnClosing: false,
    serverFactory: (handler) => {
      bounded = boundedServer(parts.limits, handler);
      return bounded.server;
    },
    clientErrorHandler: (error, socket) => bounded?.onClientError(error, socket),
    frameworkErrors: (cause, request, reply) => {
      enter(request, reply, NO_ROUTE, () => {
        throw new ExecutorError("INPUT_INVALID", { reason: "the path is malformed" }, { cause });
      });
    },
  });
  const enter = (
    request: FastifyRequest,
    reply: FastifyReply,
    entry: Pick<RouteEntry, "scopes" | "startsCall">,
    answer: (context: RequestContext) => Promise<void> | void,
  ): void => {
    reply.hijack();
    const context = new RequestContext(asId<"run">(request.id), request.raw, reply.raw);
    dispatch(parts, guard, context, entry, () => answer(context)).catch((error: unknown) => {
      // Whatever goes wrong has become an answer; if even that failed, the connection is all that is left to end.
      parts.options.log.log("error", "call.failed", { requestId: context.runId, error });
      context.response.destroy();
    });
  };
  // Taken over at the first hook: fastify's own reading of bodies comes after it, and would refuse types that we take.
  app.addHook("onRequest", (request, reply, done) => {
    const { entry } = request.routeOptions.config;
    if (entry === undefined) enter(request, reply, NO_ROUTE, notFound);
    else enter(request, reply, entry, (context) => entry.answer(context, request));
    done();
  });
  app.setNotFoundHandler(unreached);
  for (const entry of routes) {
    const { method, url, hasHead } = entry;
    app.route({ method, url, exposeHeadRoute: hasHead, config: { entry }, handler: unreached });
  }
  if (bounded === undefined) throw new ExecutorError("INTERNAL", { reason: "no server was made" });
  return { app, server: bounded.server };
}

/** The hook has taken every request over before its handler's turn. */
function unreached(): never {
  throw new ExecutorError("INTERNAL", { reason: "a request passed the door's own path" });
}
