import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Config, Loaded } from "./config/index.ts";
import { LiveConfig, toHttpLimits, toSettings } from "./config/index.ts";
import type {
  HostMonitor,
  Log,
  Observer,
  ReceiptLog,
  SandboxDriver,
  Settings,
  Tracer,
} from "./core/index.ts";
import { asId, imagePolicy, joinObservers } from "./core/index.ts";
import type { HttpDoorOptions } from "./doors/http/door-options.ts";
import { EventFeed } from "./doors/http/feed/event-feed.ts";
import type { GuardOptions } from "./doors/http/guards/guard.ts";
import { Guard } from "./doors/http/guards/guard.ts";
import type { HttpLimits } from "./doors/http/limits.ts";
import { withinFiles } from "./doors/http/limits.ts";
import type { HttpDoor } from "./doors/http/open-http-door.ts";
import { openHttpDoor } from "./doors/http/open-http-door.ts";
import { nextRunId } from "./doors/http/run-id.ts";
import type { IndexifyDoor } from "./doors/indexify/open-indexify-door.ts";
import type { MonitorDoor } from "./doors/monitor/open-monitor-door.ts";
import type { StreamDoor } from "./doors/stream/open-stream-door.ts";
import { openCallChannel } from "./drivers/channel/open-call-channel.ts";
import { openFilesLimit, openHostMonitor } from "./drivers/host/index.ts";
import { listTaskFolders } from "./drivers/process/folders/task-folders.ts";
import { openRunStore } from "./drivers/records/open-run-store.ts";
import { openStateDir } from "./drivers/state/open-state-dir.ts";
import { recordCalls } from "./engine/calls/record-calls.ts";
import type { Executor } from "./engine/executor.ts";
import { cardsThrough } from "./engine/gpus/cards-through.ts";
import { recordJobs } from "./engine/jobs/record-jobs.ts";
import { startExecutor } from "./engine/start-executor.ts";
import { tellMissingTaskDirs } from "./missing-task-dirs.ts";
import { openDisk } from "./open-disk.ts";
import type { DoorAddresses } from "./open-driver.ts";
import { openDriver } from "./open-driver.ts";
import { openGpus } from "./open-gpus.ts";
import type { IndexifyParts } from "./open-indexify.ts";
import { openMonitor, showDaemon } from "./open-monitor.ts";
import { openQueueDesk } from "./open-queue-desk.ts";
import { openReceipts } from "./open-receipts.ts";
import type { StreamParts } from "./open-stream.ts";
import { hasStreamDoor, openStream } from "./open-stream.ts";
import type { ListenAddress, Scope } from "./std/index.ts";
import { checkAddresses, orAbort, systemClock, TimerWheel } from "./std/index.ts";
import type { OpenLog } from "./telemetry/index.ts";
import { EngineCounters } from "./telemetry/metrics/index.ts";
import type { Traces } from "./telemetry/traces/index.ts";
import { openTraces } from "./telemetry/traces/index.ts";

/** 192 bits: whoever has a session's id may use it. */
const SESSION_ID_BYTES = 24;
/** How long jobs that were begun may take to be handed back when the start fails. */
const LEAVE_MS = 5_000;

export interface DaemonOptions {
  readonly version: string;
  readonly log: OpenLog;
  /** Somebody asked over the API that the daemon ends. */
  onStop(): void;
  /** A part has failed without which the daemon is not to go on; closing that part throws what failed. */
  onFailure(): void;
}

/** The parts of a daemon that takes calls. */
export interface Daemon {
  readonly executor: Executor;
  readonly door: HttpDoor;
  readonly monitor: MonitorDoor;
  readonly live: LiveConfig;
  readonly driverName: string;
  /** Where it takes jobs from, if it takes any. */
  readonly stream: StreamDoor | undefined;
  /** Where it is an Indexify server's executor, if it is one. */
  readonly indexify: IndexifyDoor | undefined;
}

/**
 * Opens every part in the order in which they rest on each other. All of them belong to the scope, which closes them in
 * reverse; when one fails to open, nothing that an earlier life left has been touched if the cause was known before: a state
 * directory in use, an address that is taken.
 */
export async function openDaemon(loaded: Loaded, options: DaemonOptions, scope: Scope): Promise<Daemon> {
  const { config } = loaded;
  const { log, version, onFailure } = options;
  const state = scope.use(await openStateDir(config.state_dir, config.docker.owner));
  await checkAddresses(addressesOf(config));
  // Before everything that takes its time: whoever waits for the start is told that it goes on.
  const monitor = scope.use(await openMonitor(config, log));
  const host = scope.use(openHostMonitor());
  const hostDisk = await openDisk(config);
  const { settings, notes } = toSettings(config, host.capacity);
  log.log("info", "config.loaded", { file: loaded.file, notes, ...limitsOf(settings) });
  const identity = { ownerId: state.ownerId, instanceId: randomBytes(6).toString("hex") };
  let onDoorsOpen: (doors: DoorAddresses) => void = () => undefined;
  const doors = new Promise<DoorAddresses>((resolve) => {
    onDoorsOpen = resolve;
  });
  // Before the driver, so that the cards have been read by the time that calls come.
  const gpus = scope.use(openGpus(config, log));
  const links = { doors: () => doors, cardNodes: (ids: readonly string[]) => gpus.nodesOf(ids) };
  const driver = scope.use(await openDriver(config, identity, log, scope.signal, links));
  const cards = scope.use(cardsThrough(gpus, driver.cards));
  tellDriver(driver, loaded, log);
  const access = accessOf(loaded, driver);
  monitor.guardWith(new Guard(access));
  const records = scope.use(openRunStore({ file: join(state.path, "runs.db"), log }));
  const wheel = new TimerWheel();
  const receipts = scope.use(await openReceipts(config, version, log));
  const watchers = await openWatchers(version, identity.instanceId, receipts, log, scope);
  const { feed, counters, traceExports } = watchers;
  const parts = {
    driver,
    openChannel: openCallChannel({ wheel }),
    host,
    gpus: cards,
    clock: systemClock,
    log,
    settings,
    ...watchers.ears,
    measuresUse: config.receipts.enable,
    isImageAllowed: imagePolicy(config.images),
    newSandboxId: () => asId<"sandbox">(nextRunId()),
    newSessionId: () => asId<"session">(randomBytes(SESSION_ID_BYTES).toString("base64url")),
  };
  const executor = scope.use(await startExecutor(parts, scope.signal));
  const live = openLiveConfig(loaded, host, executor, log, () => feed.settings(live.describe()));
  feed.settings(live.describe());
  const queue = hasStreamDoor(config) ? openQueueDesk(identity.ownerId) : undefined;
  const kept = { records, receipts, hostDisk };
  const door = await openHttpDoor(
    { ...doorOptions(loaded, options, driver, watchers, live), ...access, ...kept, wheel, queue },
    executor,
  );
  scope.use(door);
  onDoorsOpen([door, monitor]);
  // A queue or a server may take its time: what the host does meanwhile can be seen.
  monitor.serveApi(door.answerMonitor);
  const shared = { executor, gpus: cards, hostDisk, receipts, version };
  const workParts = { ...shared, driver, state, log, queue, onFailure };
  const work = await openWorkDoors(loaded, { ...workParts, newId: nextRunId }, scope);
  const shown = { ...shared, counters, traceExports, door, ownerId: identity.ownerId, ...work };
  showDaemon(monitor, shown, loaded, scope);
  return { executor, door, monitor, live, driverName: driver.name, ...work };
}

function tellDriver(driver: SandboxDriver, loaded: Loaded, log: Log): void {
  // Which of the classes are usable, their probes tell.
  log.log("info", "driver.opened", { driver: driver.name, classes: namesOf(driver.classes()) });
  if (driver.name === "process") tellMissingTaskDirs(loaded, log);
}

function namesOf(classes: ReturnType<SandboxDriver["classes"]>): readonly string[] {
  return classes.map(({ isolation }) => isolation);
}

/** All that this daemon is to listen on. */
function addressesOf({ http, monitor, indexify }: Config): readonly ListenAddress[] {
  const doors = [
    { ...http, section: "http" },
    { ...monitor, section: "monitor" },
  ];
  return indexify.server_addr === "" ? doors : [...doors, { ...indexify.proxy, section: "indexify.proxy" }];
}

/** Those through which work comes that this host asks for itself. */
async function openWorkDoors(
  { config, file: configFile }: Loaded,
  parts: StreamParts & Omit<IndexifyParts, "configFile">,
  scope: Scope,
): Promise<Pick<Daemon, "stream" | "indexify">> {
  let stream: StreamDoor | undefined;
  try {
    stream = await openStream(config, parts, scope);
    if (config.indexify.server_addr === "") return { stream, indexify: undefined };
    // Its libraries are large: who has no such door does not hold them.
    const { openIndexify } = await import("./open-indexify.ts");
    return { stream, indexify: await openIndexify(config, { ...parts, configFile }, scope) };
  } catch (error) {
    await leave(stream, parts.executor, config, scope.signal.aborted ? undefined : error);
    throw error;
  }
}

/**
 * The end of a start that fails, or is given up, once calls are taken: they have as long as at any other end, and jobs are handed
 * back. The queue is told why.
 */
async function leave(
  stream: StreamDoor | undefined,
  executor: Executor,
  config: Config,
  failure: unknown,
): Promise<void> {
  const jobsOver = stream?.drain(failure) ?? Promise.resolve();
  await executor.drain(howToDrain(config));
  // What is not told by then, its leases tell.
  await orAbort(jobsOver, AbortSignal.timeout(LEAVE_MS)).catch(() => undefined);
}

/** What runs when the daemon ends may go on for this long; whether what is warm stays. */
export function howToDrain({ drain_timeout_s, on_stop }: Config): Parameters<Executor["drain"]>[0] {
  return { deadlineMs: drain_timeout_s * 1000, keepWarm: on_stop === "keep" };
}

interface Watchers {
  readonly feed: EventFeed;
  readonly counters: EngineCounters;
  readonly traceExports: Traces["exports"] | undefined;
  /** What the executor tells its story to. */
  readonly ears: { readonly observer: Observer; readonly tracer?: Tracer };
}

/** Everybody who hears what the executor does. */
async function openWatchers(
  version: string,
  life: string,
  receipts: ReceiptLog,
  log: OpenLog,
  scope: Scope,
): Promise<Watchers> {
  const feed = new EventFeed({ life, nowMs: Date.now });
  const counters = new EngineCounters();
  const traces = await openTraces(process.env, version, log);
  const always = [counters, feed.observer, recordCalls(receipts, nextRunId), recordJobs(receipts)];
  const traceExports = traces?.exports;
  if (traces === undefined)
    return { feed, counters, traceExports, ears: { observer: joinObservers(always) } };
  const { observer, tracer } = scope.use(traces);
  return { feed, counters, traceExports, ears: { observer: joinObservers([...always, observer]), tracer } };
}

function doorOptions(
  { config }: Loaded,
  { version, log, onStop }: DaemonOptions,
  driver: SandboxDriver,
  { feed, ears }: Watchers,
  live: LiveConfig,
): Omit<HttpDoorOptions, keyof GuardOptions | "records" | "receipts" | "wheel" | "hostDisk"> {
  return {
    host: config.http.host,
    port: config.http.port,
    version,
    limits: limitsFor(config, log),
    isTraced: ears.tracer !== undefined,
    feed,
    describeConfig: () => live.describe(),
    applyConfig: (patch) => Promise.resolve(live.change(patch)),
    ...(driver.name === "process" ? { listTasks: () => listTaskFolders(config.tasks.dirs) } : {}),
    onStop,
    log,
  };
}

/** Who may use the doors. */
function accessOf({ config, tokens }: Loaded, driver: SandboxDriver): GuardOptions {
  return {
    hostNames: config.http.allowed_hosts,
    allowedOrigins: config.http.allowed_origins,
    tokens,
    isTaskAddress: (peer) => driver.isTaskAddress(peer),
  };
}

function openLiveConfig(
  loaded: Loaded,
  host: HostMonitor,
  executor: Executor,
  log: OpenLog,
  onChange: () => void,
): LiveConfig {
  return new LiveConfig(loaded, host.capacity, (settings, config) => {
    executor.configure(settings);
    log.setLevel(config.log.level);
    log.log("info", "config.changed", limitsOf(settings));
    onChange();
  });
}

function limitsFor({ http }: Config, log: OpenLog): HttpLimits {
  const asked = toHttpLimits(http);
  const openFiles = openFilesLimit();
  const limits = withinFiles(asked, openFiles);
  if (limits.connections < asked.connections) {
    const warning = `with ${openFiles} open files there are at most ${limits.connections} connections`;
    log.log("warn", "config.loaded", { warning });
  }
  return limits;
}

function limitsOf(settings: Settings): Record<string, number> {
  return {
    cpuMillis: settings.cpuMillis,
    memoryBytes: settings.memoryBytes,
    idleTimeoutMs: settings.idleTimeoutMs,
  };
}
