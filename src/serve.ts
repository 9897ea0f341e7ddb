/**
 * The daemon. Opens every part in the order in which they rest on each other, waits for the wish to end, and lets go in the
 * reverse order: calls finish first, then the doors close, then the driver. There is no separate clean start: what a killed
 * life left is found on the way up.
 */
import type { Loaded } from "./config/index.ts";
import { openServiceManager } from "./drivers/systemd/service-manager.ts";
import type { Executor } from "./engine/executor.ts";
import type { Daemon } from "./open-daemon.ts";
import { howToDrain, openDaemon } from "./open-daemon.ts";
import { tellWarnings } from "./runtime-warnings.ts";
import { tellFailure } from "./serve-failure.ts";
import type { Wish, Wishes } from "./signals.ts";
import { listenToSignals } from "./signals.ts";
import { isLoopback, Scope, settledWithin } from "./std/index.ts";
import type { OpenLog } from "./telemetry/index.ts";
import { openLog } from "./telemetry/index.ts";

/** What a supervisor reads: it ended as asked; calls or sandboxes were cut off. A failure says its own (`tellFailure`). */
const EXIT = { done: 0, forced: 3 } as const;

/** How long the results of jobs that were ended may take to be published, once nobody wants to wait any more. */
const FORCED_MS = 5_000;

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
  using _warnings = tellWarnings(log);
  const wishes = listenToSignals();
  try {
    const isForced = await runDaemon(loaded, options, wishes, log);
    log.log("info", "executor.stopped", { isForced });
    return isForced ? EXIT.forced : EXIT.done;
  } catch (error) {
    // Asked to end before it had begun: everything opened so far is closed again.
    if (wishes.ended.aborted && error === wishes.ended.reason) return EXIT.done;
    return tellFailure(log, "executor.failed", error);
  } finally {
    wishes[Symbol.dispose]();
    await log[Symbol.asyncDispose]();
  }
}

/** @returns whether something had to be cut off. When it resolves, everything is closed. */
async function runDaemon(
  loaded: Loaded,
  options: ServeOptions,
  wishes: Wishes,
  log: OpenLog,
): Promise<boolean> {
  await using scope = new Scope(wishes.ended);
  for (const warning of loaded.warnings) log.log("warn", "config.loaded", { warning });
  const manager = scope.use(await openServiceManager(process.env));
  const onStop = (): void => wishes.wish({ type: "stop" });
  const onFailure = (): void => wishes.wish({ type: "fail" });
  const daemon = await openDaemon(loaded, { version: options.version, log, onStop, onFailure }, scope);
  warnIfExposed(loaded, daemon, log);
  const { url } = daemon.door;
  log.log("info", "executor.started", { driver: daemon.driverName, url, version: options.version });
  manager.ready(`${daemon.driverName} driver, ${url}`);
  scope.spawn((signal) => manager.keepAlive(signal));
  for await (const wish of wishes.wishes()) {
    // What failed is thrown when its part is closed.
    if (wish.type === "stop" || wish.type === "fail") break;
    if (wish.type === "reload") {
      reloadConfig(options, daemon, log);
      // What stands behind a runtime's name may have changed as well: nothing that was proven before is taken for granted.
      scope.spawn(async (signal) => {
        await daemon.executor.probe(signal);
      });
    } else dumpState(daemon.executor, log);
  }
  manager.stopping();
  return await endInOrder(daemon, loaded, wishes.forced);
}

/** Lets running calls finish while the door still answers (503, and why), then shuts it. A second wish cuts this short. */
async function endInOrder(
  { executor, door, stream, indexify }: Daemon,
  { config }: Loaded,
  forced: Promise<Wish>,
): Promise<boolean> {
  const { deadlineMs, keepWarm } = howToDrain(config);
  // First of all: from now on no worker's end is reported as its function's failure.
  const workersOver = indexify?.drain() ?? Promise.resolve();
  // Jobs that have not started go to other hosts at once; those that run have as long as calls have.
  const jobsOver = stream?.drain() ?? Promise.resolve();
  const drained = executor.drain({ deadlineMs, keepWarm });
  const first = await Promise.race([drained, forced]);
  const isForced = !("cut" in first);
  const { cut } = isForced ? await executor.drain({ deadlineMs: 0, keepWarm: false, isForced: true }) : first;
  const settled = Promise.all([jobsOver, workersOver]);
  if (isForced) await settledWithin(settled, FORCED_MS);
  else await settledWithin(Promise.race([settled, forced]), Math.max(FORCED_MS, deadlineMs));
  await door[Symbol.asyncDispose]();
  return isForced || cut > 0;
}

function reloadConfig(options: ServeOptions, { live }: Daemon, log: OpenLog): void {
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
    jobs: executor.jobs.list(),
    waiting: executor.waiting(),
  });
}

function warnIfExposed({ config, tokens }: Loaded, { door, monitor }: Daemon, log: OpenLog): void {
  if (tokens.length > 0) return;
  const doors = [
    { wanted: config.http.host, open: door },
    { wanted: config.monitor.host, open: monitor },
  ];
  for (const { wanted, open } of doors) {
    if (isLoopback(wanted)) continue;
    log.log("warn", "door.exposed", { host: open.host, port: open.port, advice: "set http.token_file" });
  }
}
