/**
 * The daemon. Opens every part in the order in which they rest on each other, waits for the wish to end, and lets go in the
 * reverse order: calls finish first, then the doors close, then the driver. There is no separate clean start: what a killed
 * life left is found on the way up.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Loaded } from "./config/index.ts";
import { LiveConfig, toHttpLimits, toSettings } from "./config/index.ts";
import type { Settings } from "./core/index.ts";
import { asId, ExecutorError, imagePolicy } from "./core/index.ts";
import type { HttpDoor } from "./doors/http/open-http-door.ts";
import { openHttpDoor } from "./doors/http/open-http-door.ts";
import { nextRunId } from "./doors/http/run-id.ts";
import { openCallChannel } from "./drivers/channel/open-call-channel.ts";
import { openHostMonitor } from "./drivers/host/open-host-monitor.ts";
import { listTaskFolders } from "./drivers/process/task-folders.ts";
import { openRunStore } from "./drivers/records/open-run-store.ts";
import { openStateDir } from "./drivers/state/open-state-dir.ts";
import { openServiceManager } from "./drivers/systemd/service-manager.ts";
import type { Executor } from "./engine/executor.ts";
import { startExecutor } from "./engine/start-executor.ts";
import { openDriver } from "./open-driver.ts";
import type { Wish, Wishes } from "./signals.ts";
import { listenToSignals } from "./signals.ts";
import { Scope, systemClock, TimerWheel } from "./std/index.ts";
import type { OpenLog } from "./telemetry/index.ts";
import { openLog } from "./telemetry/index.ts";

/** What a supervisor reads: it ended as asked; it could not start or go on; calls or sandboxes were cut off. */
const EXIT = { done: 0, failed: 1, forced: 3 } as const;

export interface ServeOptions {
  readonly version: string;
  /** Reads the configuration anew, for SIGHUP; or says what is wrong with it. */
  reload(): Loaded | readonly string[];
}

/**
 * Runs the daemon until it is asked to end.
 *
 * @returns the exit code.
 */
export async function serve(loaded: Loaded, options: ServeOptions): Promise<number> {
  const log = openLog({ level: loaded.config.log.level });
  const wishes = listenToSignals();
  try {
    return await runDaemon(loaded, options, wishes, log);
  } catch (error) {
    // Asked to end before it had begun: everything opened so far is closed again.
    if (wishes.ended.aborted && error === wishes.ended.reason) return EXIT.done;
    log.log("error", "executor.failed", { error });
    process.stderr.write(`hearth: ${ExecutorError.from(error).message}\n`);
    return EXIT.failed;
  } finally {
    wishes[Symbol.dispose]();
    await log[Symbol.asyncDispose]();
  }
}

async function runDaemon(
  loaded: Loaded,
  options: ServeOptions,
  wishes: Wishes,
  log: OpenLog,
): Promise<number> {
  const { config } = loaded;
  await using scope = new Scope(wishes.ended);
  for (const warning of loaded.warnings) log.log("warn", "config.loaded", { warning });

  const manager = scope.use(await openServiceManager(process.env));
  const state = scope.use(await openStateDir(config.state_dir, config.docker.owner));
  const host = scope.use(openHostMonitor());
  const { settings, notes } = toSettings(config, host.capacity);
  log.log("info", "config.loaded", { file: loaded.file, notes, ...limitsOf(settings) });

  const records = scope.use(openRunStore({ file: join(state.path, "runs.db"), log }));
  const instanceId = randomBytes(6).toString("hex");
  const driver = scope.use(
    await openDriver(config, { ownerId: state.ownerId, instanceId }, log, scope.signal),
  );
  log.log("info", "driver.opened", { driver: driver.name, isolation: driver.capabilities.isolation });
  const wheel = new TimerWheel();
  const executor = scope.use(
    await startExecutor(
      {
        driver,
        openChannel: openCallChannel({ wheel }),
        host,
        clock: systemClock,
        log,
        settings,
        isImageAllowed: imagePolicy(config.images),
        newSandboxId: () => asId<"sandbox">(nextRunId()),
      },
      scope.signal,
    ),
  );
  const live = new LiveConfig(loaded, host.capacity, (changed, whole) => {
    executor.configure(changed);
    log.setLevel(whole.log.level);
    log.log("info", "config.changed", limitsOf(changed));
  });
  const door = scope.use(
    await openHttpDoor(
      {
        host: config.http.host,
        port: config.http.port,
        version: options.version,
        limits: toHttpLimits(config.http),
        hostNames: config.http.allowed_hosts,
        allowedOrigins: config.http.allowed_origins,
        tokens: loaded.tokens,
        isTaskAddress: (peer) => driver.isTaskAddress(peer),
        records,
        describeConfig: () => live.describe(),
        applyConfig: (patch) => Promise.resolve(live.change(patch)),
        ...(driver.name === "process" ? { listTasks: () => listTaskFolders(config.tasks.dirs) } : {}),
        onStop: () => wishes.wish({ type: "stop" }),
        log,
        wheel,
      },
      executor,
    ),
  );
  warnIfExposed(loaded, door, log);
  log.log("info", "executor.started", {
    driver: driver.name,
    url: door.url,
    instanceId,
    version: options.version,
  });
  manager.ready(`${driver.name} driver, ${door.url}`);
  scope.spawn((signal) => manager.keepAlive(signal));

  for await (const wish of wishes.wishes()) {
    if (wish.type === "stop") break;
    if (wish.type === "reload") reloadConfig(options, live, log);
    else dumpState(executor, log);
  }
  manager.stopping();
  const isForced = await endInOrder(executor, door, loaded, wishes.forced);
  log.log("info", "executor.stopped", { isForced });
  return isForced ? EXIT.forced : EXIT.done;
}

/** Lets running calls finish while the door still answers (503, and why), then shuts it. A second wish cuts this short. */
async function endInOrder(
  executor: Executor,
  door: HttpDoor,
  { config }: Loaded,
  forced: Promise<Wish>,
): Promise<boolean> {
  const keepWarm = config.on_stop === "keep";
  const drained = executor.drain({ deadlineMs: config.drain_timeout_s * 1000, keepWarm });
  const first = await Promise.race([drained, forced]);
  const cut = "cut" in first ? first.cut : (await executor.drain({ deadlineMs: 0, keepWarm: false })).cut + 1;
  await door[Symbol.asyncDispose]();
  return cut > 0;
}

function reloadConfig(options: ServeOptions, live: LiveConfig, log: OpenLog): void {
  const fresh = options.reload();
  if (!("config" in fresh)) {
    log.log("error", "config.refused", { faults: fresh });
    return;
  }
  const result = live.replace(fresh);
  if (result.needRestart.length > 0) {
    log.log("warn", "config.refused", { needRestart: result.needRestart });
  }
}

/** For whoever sends SIGUSR1: what the daemon holds and what waits, as one line. */
function dumpState(executor: Executor, log: OpenLog): void {
  log.log("info", "state.dumped", {
    view: executor.view(),
    sandboxes: executor.sandboxes(),
    waiting: executor.waiting(),
  });
}

function warnIfExposed({ config, tokens }: Loaded, door: HttpDoor, log: OpenLog): void {
  const { host } = config.http;
  const isLocal = host === "localhost" || host === "::1" || host.startsWith("127.");
  if (isLocal || tokens.length > 0) return;
  log.log("warn", "door.exposed", { host: door.host, port: door.port, advice: "set http.token_file" });
}

function limitsOf(settings: Settings): Record<string, number> {
  return {
    cpuMillis: settings.cpuMillis,
    memoryBytes: settings.memoryBytes,
    idleTimeoutMs: settings.idleTimeoutMs,
  };
}
