import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ExecutorError } from "../../core/index.ts";
import { notListening, settledWithin, urlHost } from "../../std/index.ts";
import type { Answer } from "./answer.ts";
import { send, sendProblem } from "./answer.ts";
import { isPagePath } from "./dashboard.ts";
import type { Api, MonitorDoorOptions, MonitorGuard, MonitorParts } from "./door-options.ts";
import { limitPeers } from "./peer-connections.ts";
import { refuseBadRequests } from "./refuse-bad-requests.ts";
import type { MonitorRoute } from "./routes.ts";
import { MONITOR_ROUTES } from "./routes.ts";

const LIMITS = {
  headerBytes: 16 * 1024,
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
  keepAliveMs: 60_000,
  connections: 256,
  // A page and its streams take a handful, a proxy some dozens.
  connectionsPerPeer: 64,
  closeGraceMs: 2_000,
} as const;

const CHECK_INTERVAL_MS = 1000;
/** What of the HTTP door the dashboard uses; the rest of it is not to be reached over this port. */
const API = /^\/(?:v1\/|openapi\.json$)/;

/** The door for those who watch. Disposing it takes no more connections and ends what is under way. */
export interface MonitorDoor extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** From now on addresses, tokens and origins are checked. Until then only the answers of a daemon that starts are given. */
  guardWith(guard: MonitorGuard): void;
  /** The executor takes calls: from now on everything is told. */
  open(parts: MonitorParts): void;
  /** From now on the page's own questions are answered by this; until then they are told to come again. */
  serveApi(api: Api): void;
}

interface State {
  guard: MonitorGuard | undefined;
  parts: MonitorParts | undefined;
  api: Api | undefined;
}

/**
 * Opens the monitor door. It listens before the rest of the daemon is there, so that whoever waits for the start is told that
 * it goes on.
 *
 * @throws {@link ExecutorError} ADDRESS_IN_USE; CONFIG_INVALID for an address that cannot be listened on.
 */
export async function openMonitorDoor(options: MonitorDoorOptions): Promise<MonitorDoor> {
  const state: State = { guard: undefined, parts: undefined, api: undefined };
  const server = createServer(
    {
      maxHeaderSize: LIMITS.headerBytes,
      // Refused by the guard, with a body.
      requireHostHeader: false,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
      headersTimeout: LIMITS.headersTimeoutMs,
      requestTimeout: LIMITS.requestTimeoutMs,
      keepAliveTimeout: LIMITS.keepAliveMs,
    },
    (request, response) => {
      answer(state, options, request, response).catch((error: unknown) => {
        options.log.log("error", "call.failed", { door: "monitor", error });
        response.destroy();
      });
    },
  );
  limitPeers(server, LIMITS);
  refuseBadRequests(server);
  const { address, port } = await listen(server, options);
  options.log.log("info", "door.opened", { door: "monitor", host: address, port });
  let closing: Promise<void> | undefined;
  return {
    host: address,
    port,
    url: `http://${urlHost(address)}:${port}`,
    guardWith(guard) {
      state.guard = guard;
    },
    open(parts) {
      state.parts = parts;
    },
    serveApi(api) {
      state.api = api;
    },
    [Symbol.asyncDispose]: () => {
      closing ??= close(server, options);
      return closing;
    },
  };
}

async function answer(
  state: State,
  { log, dashboard }: MonitorDoorOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const [path = "", query = ""] = (request.url ?? "").split("?", 2);
    const route = MONITOR_ROUTES.get(path);
    const isPage = isPagePath(path);
    state.guard?.check({ request, response, tokenName: undefined }, route?.scopes ?? [], { isPage });
    if (route !== undefined)
      send(request, response, await answerRoute(route, state, request, response, query));
    else if (API.test(path)) answerApi(state, request, response);
    else if (!dashboard.answer(request, response)) {
      throw new ExecutorError("ROUTE_NOT_FOUND", { path: path.slice(0, 200) });
    }
  } catch (thrown) {
    const error = ExecutorError.from(thrown);
    if (error.code === "INTERNAL") log.log("error", "call.failed", { door: "monitor", error: error.cause });
    sendProblem(request, response, error);
  }
}

function answerApi({ api }: State, request: IncomingMessage, response: ServerResponse): void {
  if (api === undefined) throw new ExecutorError("STARTING");
  api(request, response);
}

async function answerRoute(
  route: MonitorRoute,
  { parts }: State,
  request: IncomingMessage,
  response: ServerResponse,
  query: string,
): Promise<Answer> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    throw new ExecutorError("METHOD_NOT_ALLOWED", { reason: "this path takes GET" });
  }
  return await route.answer(parts, {
    isVerbose: isOn(new URLSearchParams(query).get("verbose")),
    wantsJson: (request.headers.accept ?? "").includes("application/json"),
  });
}

/** `?verbose` and `?verbose=1` say yes, `?verbose=0` says no. */
function isOn(value: string | null): boolean {
  return value !== null && !["0", "false", "no"].includes(value.toLowerCase());
}

async function listen(server: Server, { host, port }: MonitorDoorOptions): Promise<AddressInfo> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => reject(notListening({ host, port, section: "monitor" }, cause)));
    server.listen({ host, port }, resolve);
  });
  return server.address() as AddressInfo;
}

async function close(server: Server, { log }: MonitorDoorOptions): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  server.closeIdleConnections();
  await settledWithin(closed, LIMITS.closeGraceMs);
  server.closeAllConnections();
  await closed;
  log.log("info", "door.closed", { door: "monitor" });
}
