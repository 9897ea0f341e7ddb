import { spawn } from "node:child_process";
import type { BlobStore, SandboxEnd } from "../../../src/core/index.ts";
import { ExecutorError } from "../../../src/core/index.ts";
import { Desk, type DeskOptions } from "../../../src/doors/indexify/desk/desk.ts";
import { ReportQueue } from "../../../src/doors/indexify/link/report-queue.ts";
import { LINK_TIMES, ServerLink } from "../../../src/doors/indexify/link/server-link.ts";
import { observeBlobs } from "../../../src/doors/indexify/observe/observe-blobs.ts";
import { CodeCache } from "../../../src/doors/indexify/worker/code-cache.ts";
import { WORKER_TIMES, type WorkerProcess } from "../../../src/doors/indexify/worker/worker.ts";
import { openBlobStore } from "../../../src/drivers/artifacts/index.ts";
import { openChannel } from "../../../src/std/grpc/open-channel.ts";
import { Scope, systemClock } from "../../../src/std/index.ts";
import { IndexifyCounters } from "../../../src/telemetry/metrics/index.ts";
import { silentLog } from "../../../src/telemetry/silent-log.ts";
import { freePort } from "../free-port.ts";
import { TIED } from "./tied.ts";

export interface TestExecutorOptions {
  readonly serverAddress: string;
  readonly functionExecutor: string;
  readonly cacheFolder: string;
  /** Files without one. */
  readonly blobs?: BlobStore;
  /** The environment of the workers; this process's own without one. */
  readonly workerEnvironment?: NodeJS.ProcessEnv;
  /** Starts the workers; without one they are started here, and held in no books. */
  readonly launch?: DeskOptions["launch"];
  /** Starts sandboxes; without one they are refused. */
  readonly launchSandbox?: DeskOptions["launchSandbox"];
  /** Told of each application that was read: fetched, or found in the cache. */
  onCodeUse?(how: "downloaded" | "cached"): void;
}

export interface TestExecutor extends AsyncDisposable {
  readonly desk: Desk;
  readonly link: ServerLink;
  readonly reports: ReportQueue;
  /** The pids of the workers that were started. */
  readonly pids: readonly number[];
  /** What the parts told. */
  readonly counters: IndexifyCounters;
}

/** The door's parts put together around real workers, without a daemon. */
export function startTestExecutor(options: TestExecutorOptions): TestExecutor {
  const scope = new Scope();
  const pids: number[] = [];
  const observer = new IndexifyCounters();
  const stores = scope.use(options.blobs ?? openBlobStore({ files: { roots: [] } }));
  const blobs = observeBlobs(stores, { observer, clock: systemClock });
  const code = new CodeCache({
    ...{ root: options.cacheFolder, blobs, maxBytes: 8e6, totalBytes: 64e6 },
    onUse: (how) => {
      options.onCodeUse?.(how);
      if (how === "cached") observer.happened("application_downloads_from_cache");
    },
  });
  const channel = scope.use(
    openChannel({
      address: options.serverAddress,
      tls: undefined,
      maxSendBytes: 32 * 1024 * 1024,
      maxReceiveBytes: 32 * 1024 * 1024,
      keepalive: undefined,
      reconnect: { firstMs: 50, maxMs: 200 },
    }),
  );
  const reports = new ReportQueue({
    fragmentBytes: 10 * 1024 * 1024,
    limit: 50_000,
    journal: { add: () => undefined, remove: () => undefined },
    kept: [],
    onDropped: () => undefined,
    onAdded: () => link.nudge(),
  });
  const desk = new Desk({
    ...{ blobs, code, clock: systemClock, log: silentLog, observer, workerTimes: WORKER_TIMES },
    isAllowed: () => true,
    launch:
      options.launch ??
      (async ({ id }) => {
        const worker = await launch(options, id);
        pids.push(worker.pid);
        return worker;
      }),
    launchSandbox:
      options.launchSandbox ??
      (({ id }) =>
        Promise.reject(
          new ExecutorError("SANDBOX_START_FAILED", { image: id, reason: "no sandboxes run here" }),
        )),
    report: (report) => reports.add(report),
    onAllocationEnd: () => undefined,
  });
  const link = new ServerLink({
    ...{ channel, reports, clock: systemClock, log: silentLog, observer },
    executorId: "executor-1",
    times: { ...LINK_TIMES, heartbeatMs: 1_000 },
    fullState: () => ({
      ...{ hostname: "h", version: "1" },
      totalContainerResources: { cpuCount: 4, memoryBytes: 1n << 33n, diskBytes: 1n << 33n },
      containerStates: [...desk.states()],
    }),
    onCommand: (command) => {
      desk.take(command);
      return true;
    },
    onResult: (entry) => desk.takeResult(entry),
  });
  scope.spawn((signal) => link.run(signal));
  return {
    desk,
    link,
    reports,
    pids,
    counters: observer,
    async [Symbol.asyncDispose]() {
      await desk.end();
      await scope[Symbol.asyncDispose]();
    },
  };
}

async function launch(
  { functionExecutor, workerEnvironment = process.env }: TestExecutorOptions,
  id: string,
): Promise<WorkerProcess & { readonly pid: number }> {
  const address = `127.0.0.1:${await freePort()}`;
  const [program, ...words] = [...TIED, functionExecutor];
  const child = spawn(
    program,
    [...words, "--executor-id=executor-1", `--function-executor-id=${id}`, "--address", address],
    { stdio: ["ignore", "ignore", "ignore"], detached: true, env: workerEnvironment },
  );
  const ended = new Promise<SandboxEnd>((resolve) => {
    child.once("exit", (exitCode, signal) => {
      resolve(signal === null ? { type: "exited", exitCode: exitCode ?? 0 } : { type: "signalled", signal });
    });
  });
  const pid = child.pid ?? 0;
  return {
    pid,
    address,
    isOfImage: false,
    ended,
    kill: async () => {
      try {
        process.kill(-pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
      await ended;
    },
  };
}
