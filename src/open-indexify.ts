/** Opens the Indexify door with everything that it rests on: the one place where it meets the stores and the engine. */
import { mkdir, statfs } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Config } from "./config/index.ts";
import type { BlobStore, GpuMonitor, Log, ReceiptSink, SandboxDriver } from "./core/index.ts";
import { imagePolicy, jobLimit, MEBIBYTE } from "./core/index.ts";
import type { HostSize } from "./doors/indexify/door-options.ts";
import type { ResourceOverrides } from "./doors/indexify/host/host-resources.ts";
import { withinBooks } from "./doors/indexify/host/host-resources.ts";
import { observeBlobs } from "./doors/indexify/observe/observe-blobs.ts";
import { recordAllocations } from "./doors/indexify/observe/record-allocations.ts";
import type { IndexifyDoor } from "./doors/indexify/open-indexify-door.ts";
import { openIndexifyDoor } from "./doors/indexify/open-indexify-door.ts";
import type { SandboxLaunchOptions } from "./doors/indexify/sandbox/launch-sandbox.ts";
import { launchSandbox } from "./doors/indexify/sandbox/launch-sandbox.ts";
import type { SandboxProxy } from "./doors/indexify/sandbox/sandbox-proxy.ts";
import { openSandboxProxy } from "./doors/indexify/sandbox/sandbox-proxy.ts";
import { CodeCache } from "./doors/indexify/worker/code-cache.ts";
import type { LaunchOptions } from "./doors/indexify/worker/launch-worker.ts";
import { findWorkerProgram, launchWorker, taskOfContainer } from "./doors/indexify/worker/launch-worker.ts";
import { openBlobStore } from "./drivers/artifacts/index.ts";
import { openJournal } from "./drivers/records/open-journal.ts";
import type { Executor } from "./engine/executor.ts";
import { untilCardsKnown } from "./engine/gpus/until-cards-known.ts";
import {
  advertisedProxy,
  bindsOf,
  executorIdOf,
  labelsOf,
  overridesOf,
  readServerChannel,
} from "./open-indexify-inputs.ts";
import { openChannel } from "./std/grpc/open-channel.ts";
import type { Scope } from "./std/index.ts";
import { isLoopback, systemClock } from "./std/index.ts";
import { IndexifyCounters } from "./telemetry/metrics/index.ts";

/** The largest application: the server takes 5 MB, and a blob that holds it may hold a little more. */
const CODE_BYTES = 64 * MEBIBYTE;
/** Longer than the reading of cards takes to give a driver up that says nothing. */
const CARDS_MS = 30_000;

export interface IndexifyParts {
  readonly executor: Executor;
  readonly driver: SandboxDriver;
  /** As the executor has them. */
  readonly gpus: GpuMonitor;
  readonly state: { readonly path: string };
  readonly version: string;
  /** `undefined`: there is none. */
  readonly configFile: string | undefined;
  readonly receipts: ReceiptSink;
  /** A name that nothing else of this host has. */
  newId(): string;
  readonly log: Log;
}

/**
 * Opens the door. Faults of configuration end the start; the server, and a worker's program
 * that is not there yet, are waited for.
 *
 * @throws {@link ExecutorError} CONFIG_INVALID, RECORDS_UNAVAILABLE, DISK_FULL.
 */
export async function openIndexify(
  config: Config,
  { executor, driver, gpus, state, version, configFile, receipts, newId, log }: IndexifyParts,
  scope: Scope,
): Promise<IndexifyDoor> {
  const { indexify } = config;
  const folder = join(state.path, "indexify");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const executorId = await executorIdOf(indexify, join(folder, "executor-id"), log);
  const server = await readServerChannel(indexify);
  const launch = launchOptions(config, executor, executorId);
  if (!driver.workersNeedImage) await warnOfPlainWorkers(launch, log);
  const counters = new IndexifyCounters();
  const stores = scope.use(openBlobStore({ files: { roots: indexify.blob_dirs } }));
  const blobs = observeBlobs(stores, { observer: counters, clock: systemClock });
  const cacheFolder = indexify.code_cache === "" ? join(folder, "code") : indexify.code_cache;
  const code = openCode(indexify, cacheFolder, blobs, counters, log);
  const journal = scope.use(await openJournal({ file: join(folder, "reports.db"), log }));
  const diskBytes = await sizeOfDisk(state.path);
  const overrides = overridesOf(indexify);
  warnOfCap(overrides, hostSize(executor, diskBytes), log);
  let route: IndexifyDoor["route"] = () => ({ type: "unknown" });
  // Before the server is told of it, which also gives it its port.
  const proxy = scope.use(await openProxy(config, driver, (id, port) => route(id, port)));
  warnIfExposed(indexify, proxy.port, log);
  const introduction = {
    executorId,
    hostName: hostname(),
    version,
    functions: indexify.functions,
    labels: labelsOf(indexify),
    catalogEntry: indexify.catalog_entry === "" ? undefined : indexify.catalog_entry,
    overrides,
    // Plain processes have no sandboxes.
    proxyAddress: driver.workersNeedImage ? advertisedProxy(indexify, proxy.port) : undefined,
  };
  const identity = { ...introduction, cacheFolder, serverAddress: indexify.server_addr, configFile };
  const door = scope.use(
    openIndexifyDoor({
      introduction,
      metrics: { counters, identity },
      channel: scope.use(openChannel(server)),
      blobs,
      code,
      journal,
      readyMs: indexify.start_s * 1000,
      size: () => hostSize(executor, diskBytes),
      untilSized: (signal) =>
        untilCardsKnown(gpus, () => executor.settings().hasGpu, {
          ...{ clock: systemClock, deadlineMs: CARDS_MS, signal },
        }),
      checksHealth: !indexify.skip_health_checks,
      launch: (order, signal) => launchWorker(launch, order, signal),
      launchSandbox: (order, signal) => launchSandbox(launch, order, signal),
      onAllocationEnd: recordAllocations({ receipts, newId, taskOf: taskOfContainer(launch) }),
      clock: systemClock,
      log,
    }),
  );
  route = (sandboxId, port) => door.route(sandboxId, port);
  return door;
}

function openCode(
  { code_cache_mb: limitMb }: Config["indexify"],
  root: string,
  blobs: BlobStore,
  counters: IndexifyCounters,
  log: Log,
): CodeCache {
  return new CodeCache({
    ...{ root, blobs, maxBytes: CODE_BYTES, totalBytes: limitMb * MEBIBYTE },
    onUse: (how) => {
      if (how === "cached") counters.happened("application_downloads_from_cache");
    },
    onNotKept: (error) => log.log("warn", "indexify.code-not-kept", { error }),
  });
}

async function openProxy(
  { indexify: { proxy } }: Config,
  driver: SandboxDriver,
  route: IndexifyDoor["route"],
): Promise<SandboxProxy> {
  const { host, port, connect_s: connect, read_s: read, write_s: write } = proxy;
  const times = { connectMs: connect * 1000, readMs: read * 1000, writeMs: write * 1000 };
  return await openSandboxProxy({
    ...{ host, port, times, route },
    isTaskAddress: (peer) => driver.isTaskAddress(peer),
  });
}

/** There is no token for it: the server sends users here, who show a sandbox's id and nothing else. */
function warnIfExposed({ proxy: { host } }: Config["indexify"], port: number, log: Log): void {
  if (isLoopback(host)) return;
  const advice =
    "let only the server reach indexify.proxy: whoever does, and knows a sandbox's id, may use that sandbox";
  log.log("warn", "door.exposed", { host, port, advice });
}

function warnOfCap(overrides: ResourceOverrides, { forWorkers }: HostSize, log: Log): void {
  const told = withinBooks(overrides, forWorkers);
  if (told.cpuCount === overrides.cpuCount && told.memoryBytes === overrides.memoryBytes) return;
  log.log("warn", "indexify.resources-capped", { asked: overrides, told, advice: "raise cpu and mem" });
}

function launchOptions(
  { indexify, images }: Config,
  { jobs }: Executor,
  executorId: string,
): LaunchOptions & SandboxLaunchOptions {
  return {
    isImageAllowed: imagePolicy(images),
    workers: jobs.workers,
    executorId,
    program: indexify.function_executor,
    image: indexify.image,
    binds: bindsOf(indexify),
    network: indexify.network,
    isolation: indexify.isolation,
    secretNames: indexify.secrets,
    environment: process.env,
  };
}

/** What functions can reach where they are programs of this host; they fail until theirs is installed, and all else runs. */
async function warnOfPlainWorkers(launch: LaunchOptions, log: Log): Promise<void> {
  log.log("warn", "indexify.workers-unconfined", {
    reach: "this daemon's files, its environment and its API",
    advice: "take the docker driver for functions of strangers",
  });
  try {
    await findWorkerProgram(launch);
  } catch (error) {
    log.log("error", "indexify.program-missing", { error });
  }
}

/** Workers may hold what the other doors are not sure of: as every job. */
function hostSize(executor: Executor, diskBytes: number): HostSize {
  const { host, capacity, gpus } = executor.view();
  const limit = jobLimit(capacity, executor.settings().shares, "indexify");
  const gpuNames = gpus.filter(({ health }) => health.isHealthy).map(({ model }) => model);
  return {
    whole: { cpuCount: host.cpuMillis / 1000, memoryBytes: host.memoryBytes, diskBytes, gpuNames },
    forWorkers: { cpuCount: limit.cpuMillis / 1000, memoryBytes: limit.memoryBytes, diskBytes, gpuNames },
  };
}

/** Of the file system that a folder lies in, as `df` says it. */
async function sizeOfDisk(folder: string): Promise<number> {
  const { bsize, blocks } = await statfs(folder);
  return bsize * blocks;
}
