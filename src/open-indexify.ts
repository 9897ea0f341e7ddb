/** Opens the Indexify door with everything that it rests on: the one place where it meets the stores and the engine. */
import { mkdir, statfs } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Config } from "./config/index.ts";
import type { Log, SandboxDriver } from "./core/index.ts";
import { jobLimit, MEBIBYTE } from "./core/index.ts";
import type { HostSize } from "./doors/indexify/door-options.ts";
import { observeBlobs } from "./doors/indexify/observe/observe-blobs.ts";
import type { IndexifyDoor } from "./doors/indexify/open-indexify-door.ts";
import { openIndexifyDoor } from "./doors/indexify/open-indexify-door.ts";
import { CodeCache } from "./doors/indexify/worker/code-cache.ts";
import type { LaunchOptions } from "./doors/indexify/worker/launch-worker.ts";
import { findWorkerProgram, launchWorker } from "./doors/indexify/worker/launch-worker.ts";
import { openBlobStore } from "./drivers/artifacts/index.ts";
import { openJournal } from "./drivers/records/open-journal.ts";
import type { Executor } from "./engine/executor.ts";
import { bindsOf, executorIdOf, labelsOf, overridesOf, readServerChannel } from "./open-indexify-inputs.ts";
import { openChannel } from "./std/grpc/open-channel.ts";
import type { Scope } from "./std/index.ts";
import { systemClock } from "./std/index.ts";
import { IndexifyCounters } from "./telemetry/metrics/index.ts";

/** The largest application: the server takes 5 MB, and a blob that holds it may hold a little more. */
const CODE_BYTES = 64 * MEBIBYTE;

export interface IndexifyParts {
  readonly executor: Executor;
  readonly driver: SandboxDriver;
  readonly state: { readonly path: string };
  readonly version: string;
  /** `undefined`: there is none. */
  readonly configFile: string | undefined;
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
  { executor, driver, state, version, configFile, log }: IndexifyParts,
  scope: Scope,
): Promise<IndexifyDoor> {
  const { indexify } = config;
  const folder = join(state.path, "indexify");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const executorId = await executorIdOf(indexify, join(folder, "executor-id"));
  const server = await readServerChannel(indexify);
  const launch = launchOptions(config, executor, executorId);
  if (!driver.workersNeedImage) await warnOfMissingProgram(launch, log);
  const counters = new IndexifyCounters();
  const stores = scope.use(openBlobStore({ files: { roots: indexify.blob_dirs } }));
  const blobs = observeBlobs(stores, { observer: counters, clock: systemClock });
  const cacheFolder = indexify.code_cache === "" ? join(folder, "code") : indexify.code_cache;
  const code = new CodeCache({
    root: cacheFolder,
    blobs,
    maxBytes: CODE_BYTES,
    totalBytes: indexify.code_cache_mb * MEBIBYTE,
    onUse: (how) => {
      if (how === "cached") counters.happened("application_downloads_from_cache");
    },
  });
  const journal = scope.use(await openJournal({ file: join(folder, "reports.db"), log }));
  const diskBytes = await sizeOfDisk(state.path);
  const introduction = {
    executorId,
    hostName: hostname(),
    version,
    functions: indexify.functions,
    labels: labelsOf(indexify),
    catalogEntry: indexify.catalog_entry === "" ? undefined : indexify.catalog_entry,
    overrides: overridesOf(indexify),
  };
  const identity = { ...introduction, cacheFolder, serverAddress: indexify.server_addr, configFile };
  return scope.use(
    openIndexifyDoor({
      introduction,
      metrics: { counters, identity },
      channel: scope.use(openChannel(server)),
      blobs,
      code,
      journal,
      readyMs: indexify.start_s * 1000,
      size: () => hostSize(executor, diskBytes),
      launch: (order, signal) => launchWorker(launch, order, signal),
      clock: systemClock,
      log,
    }),
  );
}

function launchOptions({ indexify }: Config, { jobs }: Executor, executorId: string): LaunchOptions {
  return {
    workers: jobs.workers,
    executorId,
    program: indexify.function_executor,
    image: indexify.image,
    binds: bindsOf(indexify),
    network: indexify.network,
    secretNames: indexify.secrets,
    environment: process.env,
    clock: systemClock,
  };
}

/** Functions fail until it is installed; the daemon and its other doors run. */
async function warnOfMissingProgram(launch: LaunchOptions, log: Log): Promise<void> {
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
