import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Log } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { DataplaneStateFullSyncSchema } from "../../gen/executor_api_pb.js";
import { Scope } from "../../std/index.ts";
import type { IndexifyFigures, ShownIndexify } from "../../telemetry/metrics/index.ts";
import { Desk } from "./desk/desk.ts";
import type { IndexifyDoorOptions } from "./door-options.ts";
import { allowedFunctions, isAllowed, isNamespaceAllowed } from "./host/allowed-functions.ts";
import { hostResources, withinBooks } from "./host/host-resources.ts";
import { keptReports, reportJournal } from "./link/journal-reports.ts";
import { isUrgent, ReportQueue } from "./link/report-queue.ts";
import type { ReportedHeartbeat } from "./link/reported-heartbeat.ts";
import type { LinkState } from "./link/server-link.ts";
import { LINK_TIMES, ServerLink } from "./link/server-link.ts";
import { doorFigures } from "./observe/door-figures.ts";
import type { Route } from "./sandbox/route.ts";
import type { ObservedWork, WantedWork } from "./show-door.ts";
import { observedWork, wantedWork } from "./show-door.ts";
import type { WorkerTimes } from "./worker/worker.ts";
import { WORKER_TIMES } from "./worker/worker.ts";

/** Reports in one heartbeat, and of one type in the queue (`contracts/indexify.md` section 12). */
const FRAGMENT_BYTES = 10 * 1024 * 1024;
const REPORT_LIMIT = 50_000;
const NOT_YET = "the server has not answered since the start";

/** The door through which an Indexify server has functions run here. It opens, and stays open, while the server is away. */
export interface IndexifyDoor extends AsyncDisposable {
  /** What this host is called on the server. */
  readonly executorId: string;
  /** Whether the server knows this host now, and if not, why. */
  readonly trouble: string | undefined;
  /** What the server was last told with success; `undefined` before that. */
  readonly reported: ReportedHeartbeat | undefined;
  /** What it has counted, and how it is. */
  readonly metrics: ShownIndexify;
  /** What the server wants of this host. */
  desired(): WantedWork;
  /** What of it there is, and how far it is. */
  observed(): ObservedWork;
  /** Where a port of the sandbox of a user is reached. */
  route(sandboxId: string, port: number): Route;
  /**
   * From the moment of the call nothing more is reported: not the deaths of workers either, which may be ended by the same
   * signal as this process. Tells the server of the end, so that it has the work done elsewhere, ends every worker, and
   * resolves when nothing of them is left. Once is enough.
   */
  drain(): Promise<void>;
}

/**
 * Opens the door and returns at once: the server is waited for behind the caller's back.
 *
 * @throws {@link ExecutorError} CONFIG_INVALID for a list of functions with a mistake in it.
 */
export function openIndexifyDoor(options: IndexifyDoorOptions): IndexifyDoor {
  const scope = new Scope();
  let hasAnswered = false;
  const { desk, link } = joinParts(options, (state) => {
    hasAnswered ||= isAnswer(state);
  });
  scope.spawn(async (signal) => {
    await options.untilSized(signal);
    await link.run(signal);
  });
  let draining: Promise<void> | undefined;
  const drain = async (): Promise<void> => {
    scope.stop();
    // In the same step as the wish to end: what dies from now on is nobody's failure.
    const ended = desk.end();
    await Promise.all([link.sayFarewell(), ended]);
  };
  const state = (): IndexifyFigures["state"] => {
    if (draining !== undefined) return "shutting_down";
    return hasAnswered || isAnswer(link.state) ? "running" : "starting";
  };
  return {
    metrics: {
      ...options.metrics,
      figures: () => doorFigures(desk, { state: state(), isHealthy: troubleOf(link.state) === undefined }),
    },
    executorId: options.introduction.executorId,
    get trouble() {
      return troubleOf(link.state);
    },
    get reported() {
      return link.lastTaken;
    },
    desired: () => wantedWork(desk),
    observed: () => observedWork(desk),
    route: (sandboxId, port) => desk.sandboxes.route(sandboxId, port),
    drain() {
      draining ??= drain();
      return draining;
    },
    async [Symbol.asyncDispose]() {
      draining ??= drain();
      await draining;
      await scope[Symbol.asyncDispose]();
    },
  };
}

/** What the server asks goes to the desk, what the desk tells to the queue, and the queue to the server. */
function joinParts(
  options: IndexifyDoorOptions,
  onState: (state: LinkState) => void,
): { readonly desk: Desk; readonly link: ServerLink } {
  const { introduction, channel, journal, blobs, code, clock, log } = options;
  const observer = options.metrics.counters;
  const functions = allowedFunctions(introduction.functions);
  const kept = keptReports(journal);
  const reports = new ReportQueue({
    fragmentBytes: FRAGMENT_BYTES,
    limit: REPORT_LIMIT,
    journal: reportJournal(journal),
    kept,
    onDropped: ({ type }) => tellDropped(log, type),
    onAdded: (report) => link.nudge(isUrgent(report)),
  });
  const desk = new Desk({
    ...{ blobs, code, clock, log, observer },
    workerTimes: workerTimes(options),
    finished: kept.flatMap(({ report }) =>
      report.type === "outcome" ? [report.message.outcome.value?.allocationId ?? ""] : [],
    ),
    isAllowed: (wanted) => isAllowed(functions, wanted),
    launch: async (order, signal) => {
      if (!isAllowed(functions, order.function)) throw notAllowed("its function");
      return await options.launch(order, signal);
    },
    launchSandbox: async (order, signal) => {
      if (!isNamespaceAllowed(functions, order.description.function?.namespace))
        throw notAllowed("its namespace");
      return await options.launchSandbox(order, signal);
    },
    report: (report) => reports.add(report),
    onAllocationEnd: (ended) => options.onAllocationEnd(ended),
  });
  const link = new ServerLink({
    ...{ channel, reports, clock, log, observer, onState },
    executorId: introduction.executorId,
    times: LINK_TIMES,
    fullState: () => fullState(options, functions, desk),
    onCommand: (command) => {
      desk.take(command);
      return true;
    },
    onResult: (entry) => desk.takeResult(entry),
  });
  return { desk, link };
}

function workerTimes({ readyMs, checksHealth }: IndexifyDoorOptions): WorkerTimes {
  return { ...WORKER_TIMES, readyMs, healthMs: checksHealth ? WORKER_TIMES.healthMs : undefined };
}

function fullState(
  { introduction, size }: IndexifyDoorOptions,
  functions: ReturnType<typeof allowedFunctions>,
  desk: Desk,
): MessageInitShape<typeof DataplaneStateFullSyncSchema> {
  const { hostName, version, labels, catalogEntry, overrides, proxyAddress } = introduction;
  const { whole, forWorkers } = size();
  return {
    hostname: hostName,
    version,
    totalResources: hostResources(whole, overrides),
    totalContainerResources: hostResources(forWorkers, withinBooks(overrides, forWorkers)),
    allowedFunctions: functions,
    labels: { ...labels },
    ...(catalogEntry === undefined ? {} : { catalogEntryName: catalogEntry }),
    ...(proxyAddress === undefined ? {} : { proxyAddress }),
    containerStates: [...desk.states()],
  };
}

function isAnswer(state: LinkState): boolean {
  return state.type === "ready" || (state.type === "registering" && state.hasAnswered);
}

function troubleOf(state: LinkState): string | undefined {
  if (state.type === "unhealthy") return state.reason;
  return isAnswer(state) ? undefined : NOT_YET;
}

/** The server is told by the list whom to place elsewhere; one that places it here all the same is refused. */
function notAllowed(what: string): ExecutorError {
  const reason = `${what} is not in indexify.functions`;
  return new ExecutorError("SANDBOX_START_FAILED", { reason });
}

function tellDropped(log: Log, type: string): void {
  log.log("error", "indexify.report-dropped", { type, reason: `${REPORT_LIMIT} of them wait already` });
}
