import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from "fastify";
import type { ErrorCode } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { Executor } from "../../engine/executor.ts";
import { notListening, sleep, urlHost } from "../../std/index.ts";
import { EventStreams } from "./answer/event-streams.ts";
import { ByteBudget } from "./body/byte-budget.ts";
import { buildApp } from "./build-app.ts";
import type { HttpDoorOptions } from "./door-options.ts";
import type { ServedConnections } from "./fast-path/serve-connections.ts";
import { serveConnections } from "./fast-path/serve-connections.ts";
import { HostWatch } from "./feed/host-watch.ts";
import { Guard } from "./guards/guard.ts";
import { openLegacyCaller } from "./legacy/call-legacy.ts";
import { legacyRoutes } from "./legacy/legacy-routes.ts";
import { DEFAULT_HTTP_LIMITS } from "./limits.ts";
import type { DoorParts } from "./parts.ts";
import { Refusals } from "./refusals.ts";
import { RunBook } from "./runs/run-book.ts";
import { RunDesk } from "./runs/run-desk.ts";
import { v1Routes } from "./v1/v1-routes.ts";

/** How often a closing door looks for connections that have fallen idle. */
const CLOSE_POLL_MS = 50;

/** A door that listens. Disposing it takes no more connections, ends streams, lets answers under way finish, then cuts the rest. */
export interface HttpDoor extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Where local clients find it. */
  readonly url: string;
  /** Whether it takes requests. */
  readonly isOpen: boolean;
  /** Answers a request without a network. */
  inject(request: InjectOptions): Promise<LightMyRequestResponse>;
  /** Answers a request that came over the monitor port, by the same rules; without a token only this host itself may act there. @throws {@link ExecutorError} DRAINING once it closes. */
  answerMonitor(request: IncomingMessage, response: ServerResponse): void;
  /** Connections, requests of the fast path, and calls that were turned away before they were one, by error code. */
  counts(): ReturnType<ServedConnections["counts"]> & {
    readonly refusedCalls: ReadonlyMap<ErrorCode, number>;
  };
}

/**
 * Opens the HTTP door: the contract's own paths and `/v1`.
 *
 * @throws {@link ExecutorError} ADDRESS_IN_USE; CONFIG_INVALID for an address that cannot be listened on.
 */
export async function openHttpDoor(options: HttpDoorOptions, executor: Executor): Promise<HttpDoor> {
  const state = { isClosing: false };
  const guard = new Guard(options);
  const parts = makeParts(options, executor, guard, state);
  const { limits } = parts;
  const legacy = openLegacyCaller({
    executor,
    onRefused: (code) => parts.refusals.add(code),
    answerLimitBytes: limits.answerBytes,
    answersLimitBytes: limits.heldBytes,
  });
  const { app, server } = buildApp(parts, guard, [...legacyRoutes(parts, legacy), ...v1Routes(parts)]);
  await app.ready();
  const served = serveConnections({
    httpServer: server,
    legacy,
    wheel: options.wheel,
    // It looks at no header that it does not need, so it would lose a caller's trace.
    isOn: () => !guard.wantsToken && !state.isClosing && options.isTraced !== true,
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
  const { address, port } = await listen(app, options).catch(async (error: unknown) => {
    await served[Symbol.asyncDispose]();
    await app.close();
    throw error;
  });
  options.log.log("info", "door.opened", { door: "http", host: address, port });
  let closing: Promise<void> | undefined;
  return {
    host: address,
    port,
    url: `http://${urlHost(address)}:${port}`,
    get isOpen() {
      return !state.isClosing && server.listening;
    },
    inject: (request) => app.inject(request),
    answerMonitor: (request, response) => {
      if (state.isClosing) throw new ExecutorError("DRAINING");
      guard.cameOverMonitor(request);
      server.emit("request", request, response);
    },
    counts: () => ({ ...served.counts(), refusedCalls: parts.refusals.byCode }),
    [Symbol.asyncDispose]: () => {
      state.isClosing = true;
      closing ??= close(app, server, served, parts);
      return closing;
    },
  };
}

function makeParts(
  options: HttpDoorOptions,
  executor: Executor,
  guard: Guard,
  state: { readonly isClosing: boolean },
): DoorParts {
  const limits = { ...DEFAULT_HTTP_LIMITS, ...options.limits };
  const held = new ByteBudget(limits.heldBytes);
  const { records, receipts, log } = options;
  const runs = new RunDesk({ executor, records, limits, held, log, nowMs: Date.now });
  return {
    executor,
    options: { ...options, onStop: once(options.onStop) },
    limits,
    held,
    streams: new EventStreams(),
    runs,
    book: new RunBook({ records, receipts, desk: runs, facts: options.feed.facts }),
    refusals: new Refusals(),
    watch: new HostWatch({ executor, options }, options.feed),
    accessOf: (context) => guard.accessOf(context),
    isClosing: () => state.isClosing,
  };
}

async function listen(app: FastifyInstance, { host, port }: HttpDoorOptions): Promise<AddressInfo> {
  try {
    await app.listen({ host, port });
  } catch (cause) {
    throw notListening({ host, port, section: "http" }, cause);
  }
  return app.server.address() as AddressInfo;
}

async function close(
  app: FastifyInstance,
  server: Server,
  served: ServedConnections,
  { streams, limits, runs, watch, options }: DoorParts,
): Promise<void> {
  streams.end();
  served.stopIdle();
  const progress = { isClosed: false };
  const closed = app.close().then(() => {
    progress.isClosed = true;
  });
  const deadlineMs = performance.now() + limits.closeGraceMs;
  while (!progress.isClosed && performance.now() < deadlineMs) {
    server.closeIdleConnections();
    await Promise.race([closed, sleep(CLOSE_POLL_MS)]);
  }
  await served[Symbol.asyncDispose]();
  server.closeAllConnections();
  await closed;
  await watch[Symbol.asyncDispose]();
  await runs.flush();
  options.log.log("info", "door.closed", { door: "http" });
}

function once(act: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    act();
  };
}
