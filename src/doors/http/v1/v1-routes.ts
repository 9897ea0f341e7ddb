import * as z from "zod";
import type { Route } from "../../../contract/v1/route.ts";
import type { RouteName } from "../../../contract/v1/routes.ts";
import { ROUTES } from "../../../contract/v1/routes.ts";
import { ExecutorError } from "../../../core/index.ts";
import { check, parseJson } from "../body/parse-json.ts";
import { readBody } from "../body/read-body.ts";
import type { DoorParts } from "../parts.ts";
import type { RequestContext } from "../request-context.ts";
import type { RouteEntry } from "../route-entry.ts";
import { attest } from "./attest.ts";
import { call } from "./call.ts";
import { getConfig, patchConfig } from "./config.ts";
import { drain, pause, unpause } from "./control.ts";
import { followEvents, followLive, getAccess } from "./events.ts";
import { explain } from "./explain.ts";
import type { Handler, RouteInput } from "./handler.ts";
import { getHost, getStats } from "./host.ts";
import { getJob, listJobs } from "./jobs.ts";
import { readLogs } from "./logs.ts";
import { openapi } from "./openapi.ts";
import { listTasks, prefetch } from "./prefetch.ts";
import { getFleet, getQueue, listDeadJobs, replayDeadJobs } from "./queue.ts";
import { exportReceipts, getReceipt, getReceiptKey } from "./receipts.ts";
import { cancelRun, followRun, getAnswer, getRun, listRuns } from "./runs.ts";
import { evictSandbox, getSandbox, listSandboxes, listWaiting } from "./sandboxes.ts";
import { endSession, getSession, listSessions } from "./sessions.ts";
import { startRun } from "./start-run.ts";

const HANDLERS: { readonly [N in RouteName]: Handler<N> } = {
  call,
  startRun,
  explain,
  listRuns,
  getRun,
  followRun,
  getReceipt,
  getReceiptKey,
  exportReceipts,
  getAnswer,
  cancelRun,
  listSandboxes,
  getSandbox,
  evictSandbox,
  readLogs,
  listWaiting,
  prefetch,
  listTasks,
  attest,
  listSessions,
  getSession,
  endSession,
  listJobs,
  getJob,
  getQueue,
  listDeadJobs,
  replayDeadJobs,
  getFleet,
  getHost,
  getStats,
  getConfig,
  patchConfig,
  pause,
  unpause,
  drain,
  followEvents,
  followLive,
  getAccess,
  openapi,
};

/** A parameter that a route does not know is a mistake of its caller's, which silence would hide. */
const NO_QUERY = z.strictObject({});

const CALLS: ReadonlySet<RouteName> = new Set(["call", "startRun", "attest"]);

/** Every row of the route table, with its handler behind its schemas. */
export function v1Routes(parts: DoorParts): RouteEntry[] {
  return (Object.keys(ROUTES) as RouteName[]).map((name) => {
    const route: Route = ROUTES[name];
    // The table pairs each handler with its own route's schemas; only here are all of them one type.
    const handler = HANDLERS[name] as Handler<RouteName>;
    return {
      method: route.method,
      url: route.path.replace(/\{(\w+)\}/g, ":$1"),
      scopes: route.scopes,
      startsCall: CALLS.has(name),
      hasHead: route.method === "GET",
      answer: async (context, target) => {
        const params = route.params && check(route.params, target.params);
        const query: unknown = check(route.query ?? NO_QUERY, target.query);
        const body = await bodyOf(parts, context, route);
        await handler(parts, context, { params, query, body } as RouteInput<RouteName>);
      },
    };
  });
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
