import type { AddressInfo, Socket } from "node:net";
import type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  InjectOptions,
  LightMyRequestResponse,
} from "fastify";
import fastify from "fastify";
import { formatTimestamp } from "../../contract/executer-tracker/index.ts";
import { notListening, Scope, settledWithin, urlHost } from "../../std/index.ts";
import { sendJson } from "./answer.ts";
import type { ApiParts, JobApiOptions } from "./api-options.ts";
import { ApiRefusal, invalid } from "./api-refusal.ts";
import { followEvents } from "./follow-events.ts";
import { checkHost } from "./host-check.ts";
import { KeyCheck } from "./key-check.ts";
import { knownPaths } from "./known-paths.ts";
import { createPool } from "./routes/create-pool.ts";
import { getOutput } from "./routes/get-output.ts";
import { killTask } from "./routes/kill-task.ts";
import { listOutput } from "./routes/list-output.ts";
import { listTasks } from "./routes/list-tasks.ts";
import { REGISTER_PATH, registerExecuter } from "./routes/register-executer.ts";
import { showTask } from "./routes/show-task.ts";
import { submitTask } from "./routes/submit-task.ts";
import { taskStatus } from "./routes/task-status.ts";
import { uploadInput } from "./routes/upload-input.ts";

/** How long a refused body may go on coming, so that its client reads why instead of a broken connection. */
const LINGER_MS = 30_000;

/** The web API, listening. Disposing it lets answers under way finish for a moment, then cuts the rest. */
export interface JobApi extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** Answers a request without a network. */
  inject(request: InjectOptions): Promise<LightMyRequestResponse>;
}

/**
 * Opens the local web API that clients of 2023 speak to (`contracts/executer-tracker.md` section 8).
 *
 * @throws {@link ExecutorError} ADDRESS_IN_USE; CONFIG_INVALID for an address that cannot be listened on.
 */
export async function openJobApi(options: JobApiOptions): Promise<JobApi> {
  const scope = new Scope();
  const parts: ApiParts = {
    ...options,
    signal: scope.signal,
    arriving: new Set(),
    timestamp: () => formatTimestamp(options.nowMs()),
  };
  const app = buildApp(parts);
  const { address, port } = await listen(app, options);
  options.log.log("info", "door.opened", { door: "api", host: address, port });
  scope.spawn((signal) => followEvents(parts, signal));
  let closing: Promise<void> | undefined;
  return {
    host: address,
    port,
    url: `http://${urlHost(address)}:${port}`,
    inject: (request) => app.inject(request),
    [Symbol.asyncDispose]: () => {
      closing ??= close(app, scope, options);
      return closing;
    },
  };
}

function buildApp(parts: ApiParts): FastifyInstance {
  const { limits, log } = parts;
  const app = fastify({
    logger: false,
    bodyLimit: limits.jsonBytes,
    connectionTimeout: limits.stallMs,
    // An upload may take as long as it brings something.
    requestTimeout: 0,
    forceCloseConnections: "idle",
    return503OnClosing: false,
    routerOptions: { maxParamLength: 256 },
  });
  app.server.maxConnections = limits.connections;
  readBodies(app);
  if (parts.isForThisHost) app.addHook("onRequest", checkHost);
  checkKeys(app, parts);
  const known = knownPaths(app);
  app.setNotFoundHandler((request, reply) => {
    const allowed = known.methodsOf(request.url);
    if (allowed.length === 0) return sendJson(reply, 404, { detail: "Not Found" });
    return sendJson(reply.header("allow", allowed.join(", ")), 405, { detail: "Method Not Allowed" });
  });
  app.setErrorHandler((thrown, request, reply) => {
    const refusal = refusalOf(thrown);
    if (refusal.status >= 500)
      log.log("warn", "api.failed", { path: request.url.slice(0, 200), error: refusal.cause });
    readAway(request, reply);
    return sendJson(reply, refusal.status, { detail: refusal.detail });
  });
  for (const route of ROUTES) route(app, parts);
  return app;
}

const ROUTES = [
  submitTask,
  uploadInput,
  taskStatus,
  getOutput,
  listOutput,
  killTask,
  showTask,
  listTasks,
  registerExecuter,
  createPool,
];

/** JSON is handed over as bytes, so that an empty body of a `kill` is no fault; everything else is left to its route to read. */
function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) =>
    done(null, body),
  );
  app.addContentTypeParser("*", (_request, _payload, done) => done(null, undefined));
}

/** Before a body is read. Only hosts may come without a key, to register. */
function checkKeys(app: FastifyInstance, { key, isRegistrationOpen }: ApiParts): void {
  const keys = new KeyCheck(key);
  app.addHook("onRequest", (request, _reply, done) => {
    const isOpen = isRegistrationOpen && request.routeOptions.url === REGISTER_PATH;
    if (!isOpen) keys.check(request.headers["x-api-key"]);
    done();
  });
}

function refusalOf(thrown: unknown): ApiRefusal {
  const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") return new ApiRefusal(413, "the body is above the limit");
  if (code.startsWith("FST_ERR_")) return invalid(["body"], "the request is malformed");
  return ApiRefusal.from(thrown);
}

/**
 * What still comes of a body that nobody wants is read away, within bounds. The answer must not say that the connection ends: it
 * would end with the answer, and a client that reads only once it has sent everything would find it broken.
 */
function readAway({ raw }: FastifyRequest, reply: FastifyReply): void {
  if (raw.complete) return;
  reply.removeHeader("connection");
  const socket: Socket = raw.socket;
  raw.resume();
  const cut = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  raw.once("close", () => clearTimeout(cut));
}

async function listen(app: FastifyInstance, { host, port }: JobApiOptions): Promise<AddressInfo> {
  try {
    await app.listen({ host, port });
  } catch (cause) {
    throw notListening({ host, port, section: "api" }, cause);
  }
  return app.server.address() as AddressInfo;
}

async function close(app: FastifyInstance, scope: Scope, { limits, log }: JobApiOptions): Promise<void> {
  const closed = app.close();
  await settledWithin(closed, limits.closeGraceMs);
  app.server.closeAllConnections();
  await scope[Symbol.asyncDispose]();
  await closed;
  log.log("info", "door.closed", { door: "api" });
}
