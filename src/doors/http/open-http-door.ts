import type { AddressInfo } from "node:net";
import type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  InjectOptions,
  LightMyRequestResponse,
} from "fastify";
import fastify from "fastify";
import { asId, ExecutorError } from "../../core/index.ts";
import type { Executor } from "../../engine/executor.ts";
import { sleep } from "../../std/index.ts";
import { EventStreams } from "./answer/event-streams.ts";
import { ByteBudget } from "./body/byte-budget.ts";
import { dispatch } from "./dispatch.ts";
import type { HttpDoorOptions } from "./door-options.ts";
import type { ServedConnections } from "./fast-path/serve-connections.ts";
import { serveConnections } from "./fast-path/serve-connections.ts";
import { Guard } from "./guards/guard.ts";
import type { BoundedServer } from "./http-server.ts";
import { boundedServer } from "./http-server.ts";
import { openLegacyCaller } from "./legacy/call-legacy.ts";
import { registerLegacy } from "./legacy/register-legacy.ts";
import { DEFAULT_HTTP_LIMITS } from "./limits.ts";
import { notFound } from "./not-found.ts";
import type { DoorParts } from "./parts.ts";
import { RequestContext } from "./request-context.ts";
import { nextRunId } from "./run-id.ts";
import { RunDesk } from "./runs/run-desk.ts";
import type { Enter } from "./v1/register-v1.ts";
import { registerV1 } from "./v1/register-v1.ts";

/** How often a closing door looks for connections that have fallen idle. */
const CLOSE_POLL_MS = 50;

/** A door that listens. Disposing it takes no more connections, ends streams, lets answers under way finish, then cuts the rest. */
export interface HttpDoor extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Where local clients find it. */
  readonly url: string;
  /** Answers a request without a network. */
  inject(request: InjectOptions): Promise<LightMyRequestResponse>;
  /** Connections and requests of the fast path. */
  counts(): ReturnType<ServedConnections["counts"]>;
}

/**
 * Opens the HTTP door: the contract's own paths and `/v1`.
 *
 * @throws {@link ExecutorError} ADDRESS_IN_USE; CONFIG_INVALID for an address that cannot be listened on.
 */
export async function openHttpDoor(options: HttpDoorOptions, executor: Executor): Promise<HttpDoor> {
  const limits = { ...DEFAULT_HTTP_LIMITS, ...options.limits };
  const held = new ByteBudget(limits.heldBytes);
  const state = { isClosing: false };
  const runs = new RunDesk({
    executor,
    records: options.records,
    limits,
    held,
    log: options.log,
    nowMs: Date.now,
  });
  const parts: DoorParts = {
    executor,
    options: { ...options, onStop: once(options.onStop) },
    limits,
    held,
    streams: new EventStreams(),
    runs,
    isClosing: () => state.isClosing,
  };
  const guard = new Guard(options);
  const legacy = openLegacyCaller({
    executor,
    answerLimitBytes: limits.answerBytes,
    answersLimitBytes: limits.heldBytes,
  });
  const { app, server } = buildApp(parts, guard, (enter, instance) => {
    registerLegacy(instance, parts, enter, legacy);
    registerV1(instance, parts, enter);
  });
  await app.ready();
  const served = serveConnections({
    httpServer: server,
    legacy,
    wheel: options.wheel,
    isOn: () => !guard.wantsToken && !state.isClosing,
    isPlainPeer: (socket) => guard.isPlainPeer(socket),
    isPlainHost: (host) => guard.isKnownHost(host),
    limits: {
      connections: limits.connections,
      connectionsPerPeer: limits.connectionsPerPeer,
      headTimeoutMs: limits.headerTimeoutMs,
      bodyTimeoutMs: limits.bodyTimeoutMs,
      keepAliveMs: limits.keepAliveMs,
      writeTimeoutMs: limits.writeTimeoutMs,
    },
  });
  const { address, port } = await listen(app, options);
  options.log.log("info", "door.opened", { door: "http", host: address, port });
  let closing: Promise<void> | undefined;
  return {
    host: address,
    port,
    url: `http://${urlHost(address)}:${port}`,
    inject: (request) => app.inject(request),
    counts: () => served.counts(),
    [Symbol.asyncDispose]: () => {
      state.isClosing = true;
      closing ??= close(app, server, served, parts);
      return closing;
    },
  };
}

function buildApp(
  parts: DoorParts,
  guard: Guard,
  register: (enter: Enter, app: FastifyInstance) => void,
): { readonly app: FastifyInstance; readonly server: BoundedServer["server"] } {
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
    frameworkErrors: (error, request, reply) => {
      enter(request, reply, [], () => {
        throw new ExecutorError("INPUT_INVALID", { reason: "the path is malformed" }, { cause: error });
      });
    },
  });
  const enter: Enter = (request, reply, scopes, answer) => {
    const context = contextOf(request, reply);
    // Never rejects: what goes wrong has become an answer.
    void dispatch(parts, guard, context, scopes, () => answer(context));
  };
  // Each route reads its own body, if it wants one, with this door's limits.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null, undefined));
  app.setNotFoundHandler((request, reply) => enter(request, reply, [], notFound));
  register(enter, app);
  if (bounded === undefined) throw new ExecutorError("INTERNAL");
  return { app, server: bounded.server };
}

function contextOf(request: FastifyRequest, reply: FastifyReply): RequestContext {
  reply.hijack();
  return new RequestContext(asId<"run">(request.id), request.raw, reply.raw);
}

async function listen(app: FastifyInstance, { host, port }: HttpDoorOptions): Promise<AddressInfo> {
  try {
    await app.listen({ host, port });
  } catch (cause) {
    const code = (cause as { readonly code?: unknown }).code;
    if (code === "EADDRINUSE") throw new ExecutorError("ADDRESS_IN_USE", { host, port }, { cause });
    const reason = `cannot listen on ${host} port ${port}: ${String(code)}`;
    throw new ExecutorError("CONFIG_INVALID", { field: "http.host", reason }, { cause });
  }
  return app.server.address() as AddressInfo;
}

async function close(
  app: FastifyInstance,
  server: BoundedServer["server"],
  served: ServedConnections,
  { streams, limits, runs, options }: DoorParts,
): Promise<void> {
  streams.end();
  served.stopIdle();
  let isClosed = false;
  const closed = app.close().then(() => {
    isClosed = true;
  });
  const deadlineMs = performance.now() + limits.closeGraceMs;
  while (!isClosed && performance.now() < deadlineMs) {
    server.closeIdleConnections();
    await Promise.race([closed, sleep(CLOSE_POLL_MS)]);
  }
  await served[Symbol.asyncDispose]();
  server.closeAllConnections();
  await closed;
  await runs.flush();
  options.log.log("info", "door.closed", { door: "http" });
}

function urlHost(address: string): string {
  if (address === "0.0.0.0") return "127.0.0.1";
  if (address === "::") return "[::1]";
  return address.includes(":") ? `[${address}]` : address;
}

function once(act: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    act();
  };
}
