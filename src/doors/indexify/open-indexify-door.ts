import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Log } from "../../core/index.ts";
import type { DataplaneStateFullSyncSchema } from "../../gen/executor_api_pb.js";
import { Scope } from "../../std/index.ts";
import type { IndexifyFigures, ShownIndexify } from "../../telemetry/metrics/index.ts";
import { Desk } from "./desk/desk.ts";
import type { IndexifyDoorOptions } from "./door-options.ts";
import { allowedFunctions } from "./host/allowed-functions.ts";
import { hostResources } from "./host/host-resources.ts";
import { keptReports, reportJournal } from "./link/journal-reports.ts";
import { ReportQueue } from "./link/report-queue.ts";
import type { ReportedHeartbeat } from "./link/reported-heartbeat.ts";
import type { LinkState } from "./link/server-link.ts";
import { LINK_TIMES, ServerLink } from "./link/server-link.ts";
import { doorFigures } from "./observe/door-figures.ts";
import type { WantedWork } from "./show-door.ts";
import { wantedWork } from "./show-door.ts";
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
  /** Whether the server has answered since the start, be it only with a question. */
  readonly hasAnswered: boolean;
  /** What the server was last told with success; `undefined` before that. */
  readonly reported: ReportedHeartbeat | undefined;
  /** What it has counted, and how it is. */
  readonly metrics: ShownIndexify;
  /** What the server wants of this host, and how far it is. */
  desired(): WantedWork;
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
  scope.spawn(async (signal) => await link.run(signal));
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
    get hasAnswered() {
      return hasAnswered || isAnswer(link.state);
    },
    get reported() {
      return link.lastTaken;
    },
    desired: () => wantedWork(desk),
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
  const reports = new ReportQueue({
    fragmentBytes: FRAGMENT_BYTES,
    limit: REPORT_LIMIT,
    journal: reportJournal(journal),
    kept: keptReports(journal),
    onDropped: ({ type }) => tellDropped(log, type),
    onAdded: () => link.nudge(),
  });
  const desk = new Desk({
    ...{ blobs, code, clock, log, observer },
    workerTimes: { ...WORKER_TIMES, readyMs: options.readyMs },
    launch: (order, signal) => options.launch(order, signal),
    report: (report) => reports.add(report),
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

function fullState(
  { introduction, size }: IndexifyDoorOptions,
  functions: ReturnType<typeof allowedFunctions>,
  desk: Desk,
): MessageInitShape<typeof DataplaneStateFullSyncSchema> {
  const { hostName, version, labels, catalogEntry, overrides } = introduction;
  const { whole, forWorkers } = size();
  return {
    hostname: hostName,
    version,
    totalResources: hostResources(whole, overrides),
    totalContainerResources: hostResources(forWorkers, overrides),
    allowedFunctions: functions,
    labels: { ...labels },
    ...(catalogEntry === undefined ? {} : { catalogEntryName: catalogEntry }),
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

function tellDropped(log: Log, type: string): void {
  log.log("error", "indexify.report-dropped", { type, reason: `${REPORT_LIMIT} of them wait already` });
}
