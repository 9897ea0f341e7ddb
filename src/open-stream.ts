/** Opens the stream door with everything that it rests on: the one place where it meets the queue, the store and the driver. */
import { join } from "node:path";
import type { Config } from "./config/index.ts";
import type { ImagesFile, Registration } from "./contract/executer-tracker/index.ts";
import type { HostDisk, Log, SandboxDriver } from "./core/index.ts";
import { DOOR_NAMES, ExecutorError } from "./core/index.ts";
import type { JobDefaults, QueueLink, SharedDir } from "./doors/stream/door-options.ts";
import type { StreamDoor } from "./doors/stream/open-stream-door.ts";
import { openStreamDoor } from "./doors/stream/open-stream-door.ts";
import type { CloudMetadata } from "./doors/stream/registration/cloud-metadata.ts";
import { cloudMetadata, isTrue } from "./doors/stream/registration/cloud-metadata.ts";
import type { Identity } from "./doors/stream/registration/identity.ts";
import { keepIdentity, selfRegistration } from "./doors/stream/registration/identity.ts";
import { register } from "./doors/stream/registration/register.ts";
import type { RedisSettings } from "./drivers/queue/index.ts";
import { openRedisFleet, openRedisSource, REDIS_TIMES } from "./drivers/queue/index.ts";
import { openConnection } from "./drivers/queue/redis/connection.ts";
import type { Executor } from "./engine/executor.ts";
import { openJobStore } from "./open-job-store.ts";
import type { OpeningDesk } from "./open-queue-desk.ts";
import {
  readImagesFile,
  readMethods,
  readRedisSettings,
  readSharedDir,
  toStreamSettings,
} from "./open-stream-inputs.ts";
import { zipArchiverBy } from "./std/archive/index.ts";
import { looksBelow } from "./std/files/index.ts";
import type { Scope } from "./std/index.ts";
import { systemClock } from "./std/index.ts";

const DAY_MS = 86_400_000;
/** A host is listed for as many beats as this after its last one. */
const MISSED_BEATS = 4;

export interface StreamParts {
  readonly executor: Executor;
  readonly driver: SandboxDriver;
  readonly state: { readonly path: string; readonly ownerId: string };
  readonly version: string;
  readonly log: Log;
  /** The door has failed: the daemon is to end. */
  onFailure(): void;
  /** `undefined` where the file system does not tell. */
  readonly hostDisk: HostDisk | undefined;
  /** Where the queue is shown. */
  readonly queue: OpeningDesk | undefined;
}

/** Whether the configuration asks for the door. */
export function hasStreamDoor({ stream }: Config): boolean {
  return stream.images_file !== "";
}

/**
 * Opens the door where the configuration asks for it, in the order of the contract (section 2.2): files and folders, store, images.
 * What is wrong with those ends the start; the queue and the API are waited for behind the caller's back. Without the door, jobs
 * that an earlier life left are ended: nobody would ever ask for them.
 *
 * @throws {@link ExecutorError} CONFIG_INVALID, IMAGE_NOT_FOUND, ARTIFACT_STORE_DENIED, ENGINE_UNAVAILABLE.
 */
export async function openStream(
  config: Config,
  parts: StreamParts,
  scope: Scope,
): Promise<StreamDoor | undefined> {
  const { executor, driver, state, version, log, queue, onFailure } = parts;
  if (!hasStreamDoor(config)) {
    // An engine that will not remove one is asked until it does; nobody waits for that.
    for (const job of executor.jobs.leftovers()) {
      job.reap().catch((error: unknown) => log.log("warn", "claim.troubled", { step: "reaping", error }));
    }
    return undefined;
  }
  const types = await readImagesFile(config.stream.images_file);
  const methods = await readMethods(config.stream.methods_file);
  const redis = await readRedisSettings(config.stream);
  const sharedDir = await readSharedDir(config, driver.name);
  const onAway = (name: string, error: unknown): void =>
    log.log("error", "claim.troubled", { step: "opening", store: name, error });
  const store = scope.use(await openJobStore(config.stream, scope.signal, onAway));
  await checkImages(types, driver, sharedDir, scope.signal);
  const settings = toStreamSettings(config);
  const metadata = metadataOf(config, settings.hostName);
  const identity = keepIdentity(join(state.path, "executer.json"));
  const lifeMs = settings.fleetMs * MISSED_BEATS;
  const door = scope.use(
    openStreamDoor({
      executor,
      types,
      methods,
      defaults: () => defaultsOf(config, executor),
      settings,
      sharedDir,
      hostDisk: parts.hostDisk,
      store,
      archiver: zipArchiverBy(await looksBelow(sharedDir.localPath)),
      queue: queueLink(config, redis, log),
      board: scope.use(openRedisFleet({ settings: redis, lifeMs })),
      register: (signal) => identify({ config, parts, types, metadata, identity }, signal),
      forgetRegistration: () => identity.forget(),
      isPreempted: async (signal) => isTrue(await metadata.value("preempted", signal)),
      onFailure,
      ownerId: state.ownerId,
      version,
      clock: systemClock,
      log,
    }),
  );
  queue?.show(door);
  return door;
}

/** Every image is here, and what is put into the shared folder is seen by the engine. */
async function checkImages(
  types: ImagesFile,
  driver: SandboxDriver,
  sharedDir: SharedDir,
  signal: AbortSignal,
): Promise<void> {
  for (const [name, { image }] of types) {
    const resolved = await driver.resolve(image, { refresh: "never" }, signal).catch((cause: unknown) => {
      signal.throwIfAborted();
      const error = ExecutorError.from(cause);
      if (error.spec.retry === "later") throw error;
      const reason = `${name}: ${error.message}`;
      throw new ExecutorError("CONFIG_INVALID", { field: "stream.images_file", reason }, { cause });
    });
    await driver.checkSharedDir(sharedDir, resolved, signal).catch((thrown: unknown) => {
      throw namingTheSetting(thrown);
    });
  }
}

/** The driver knows folders and no settings; whoever started the daemon knows the setting. */
function namingTheSetting(thrown: unknown): unknown {
  if (!(thrown instanceof ExecutorError) || thrown.code !== "CONFIG_INVALID") return thrown;
  const reason = `${String(thrown.facts["reason"])} (SHARED_DIR_HOST)`;
  return new ExecutorError("CONFIG_INVALID", { field: "stream.shared_dir_host", reason }, { cause: thrown });
}

function queueLink({ stream }: Config, settings: RedisSettings, log: Log): QueueLink {
  return {
    async ready(signal, onAway) {
      await using connection = openConnection({ settings, times: REDIS_TIMES, clock: systemClock });
      let told: string | undefined;
      connection.onState((state) => {
        if (state.type === "up" || state.reason === told) return;
        told = state.reason;
        log.log("warn", "queue.away", { reason: told });
        onAway(told);
      });
      await connection.untilUp(signal);
    },
    open(registration) {
      const source = openRedisSource({
        settings,
        streams: registration.redis_streams,
        group: registration.redis_consumer_group,
        consumer: registration.redis_consumer_name,
        log,
        limits: {
          leaseMs: stream.lease_s * 1000,
          keepMs: stream.keep_days * DAY_MS,
          maxEvents: stream.events_kept,
          strangerMs: stream.time_limit_s * 1000,
          allowsEviction: stream.redis.allow_eviction,
        },
      });
      return Promise.resolve(source);
    },
  };
}

interface Identifying {
  readonly config: Config;
  readonly parts: StreamParts;
  readonly types: ImagesFile;
  readonly metadata: CloudMetadata;
  readonly identity: Identity;
}

/** What this host is called in the queue: as before, or by a new registration when what it was given for has changed. */
async function identify(
  { config, parts, types, metadata, identity }: Identifying,
  signal: AbortSignal,
): Promise<Registration> {
  const { stream } = config;
  const executerTypes = [...types.keys()].sort();
  const { registration: kind, api_url, resource_pool, machine_group } = stream;
  const about = { kind, api_url, resource_pool, machine_group, executerTypes, owner: parts.state.ownerId };
  const kept = await identity.recall(about);
  const apiUrl = api_url.replace(/\/+$/, "");
  const given =
    kept ??
    (kind === "none"
      ? selfRegistration(executerTypes, parts.state.ownerId)
      : await register(
          {
            apiUrl,
            token: stream.api_token,
            executerTypes,
            resourcePool: resource_pool,
            machineGroup: machine_group,
            metadata,
            capacity: () => parts.executor.view().host,
            clock: systemClock,
            log: parts.log,
          },
          signal,
        ));
  if (kept === undefined) await identity.keep(given, about);
  const { uuid: executerId, redis_streams: streams, redis_consumer_name: consumer } = given;
  parts.log.log("info", "executer.registered", { executerId, streams, consumer, isNew: kept === undefined });
  return given;
}

/** A host that is told of no cloud asks for none. */
function metadataOf({ stream }: Config, hostName: string): CloudMetadata {
  if (stream.metadata_host !== "none") return cloudMetadata(stream.metadata_host, hostName);
  return {
    isCloud: () => Promise.resolve(false),
    hostInfo: () => Promise.resolve({ host_type: "inductiva-hardware", hostname: hostName }),
    value: () => Promise.resolve(undefined),
  };
}

/** What a job gets whose type says nothing: its part of what the other doors leave. */
function defaultsOf(config: Config, executor: Executor): JobDefaults {
  const { stream } = config;
  const { capacity, gpus } = executor.view();
  const others = DOOR_NAMES.filter((door) => door !== "stream").map(
    (door) => executor.settings().shares[door],
  );
  const part = (whole: number, taken: readonly number[]): number => {
    const left = whole - taken.reduce((sum, one) => sum + one, 0);
    return Math.max(1, Math.floor(left / stream.concurrency));
  };
  return {
    cpuMillis:
      stream.cpu > 0
        ? Math.max(1, Math.round(stream.cpu * 1000))
        : part(
            capacity.cpuMillis,
            others.map((share) => share.cpuMillis),
          ),
    memoryBytes:
      stream.mem > 0
        ? stream.mem * 1_048_576
        : part(
            capacity.memoryBytes,
            others.map((share) => share.memoryBytes),
          ),
    gpuCount: gpus.length,
    pidsLimit: stream.pids > 0 ? stream.pids : undefined,
    network: stream.network,
    timeLimitMs: stream.time_limit_s * 1000,
  };
}
