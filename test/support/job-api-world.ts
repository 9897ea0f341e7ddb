import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  commandKeysOf,
  DEFAULT_METHOD_TYPES,
  EVENTS_STREAM,
  formatTimestamp,
} from "../../src/contract/executer-tracker/index.ts";
import type { ArchiveLimits, ArtifactStore, JobProducer, TaskBook } from "../../src/core/index.ts";
import { Secret } from "../../src/core/index.ts";
import { DEFAULT_JOB_API_LIMITS, type JobApiLimits } from "../../src/doors/job-api/api-options.ts";
import type { JobApi } from "../../src/doors/job-api/open-job-api.ts";
import { openJobApi } from "../../src/doors/job-api/open-job-api.ts";
import { openArtifactStore } from "../../src/drivers/artifacts/open-artifact-store.ts";
import { openRedisProducer } from "../../src/drivers/queue/redis/producer.ts";
import { REDIS_TIMES } from "../../src/drivers/queue/redis/settings.ts";
import { openTaskBook } from "../../src/drivers/records/open-task-book.ts";
import { zipArchiver } from "../../src/std/archive/index.ts";
import { Scope, systemClock } from "../../src/std/index.ts";
import { silentLog } from "../../src/telemetry/index.ts";
import { Client2023 } from "./client-2023.ts";
import { poll } from "./poll.ts";
import { openPrivateRedis, type PrivateRedis } from "./private-redis.ts";

/** The web API over a real Redis and a store on disk; the test itself plays the host that runs tasks. */
export interface JobApiWorld extends AsyncDisposable {
  readonly redis: PrivateRedis;
  readonly store: ArtifactStore;
  readonly storeDir: string;
  readonly producer: JobProducer;
  readonly client: Client2023;
  readonly api: JobApi;
  /** Publishes an event as a host does. */
  event(type: string, json: Readonly<Record<string, unknown>>): Promise<void>;
  /** All events so far. */
  events(): Promise<readonly { readonly type: string; readonly json: Record<string, unknown> }[]>;
  /** Waits until everything that was published has reached the book: its own events included. */
  settled(): Promise<void>;
  /** Ends the API as its process would end, and opens one anew on the same state. */
  restart(): Promise<void>;
}

export async function openJobApiWorld(limits: Partial<JobApiLimits> = {}): Promise<JobApiWorld> {
  const folder = await mkdtemp(join(tmpdir(), "hearth-api-"));
  const storeDir = join(folder, "store");
  await mkdir(storeDir);
  const redis = await openPrivateRedis();
  const store = await openArtifactStore(storeDir, { setting: "test" });
  let life = await openLife(folder, redis, store, limits);
  let client = new Client2023(life.api.url);
  const events = async (): Promise<FoundEvent[]> => {
    const found = (await redis.ask("XRANGE", "events", "-", "+")) as [string, string[]][];
    return found.map(([id, flat]) => {
      const fields = Object.fromEntries(
        flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1]]] : [])),
      );
      return {
        id,
        type: String(fields["type"]),
        json: objectOf(String(fields["json"])),
      };
    });
  };
  return {
    redis,
    store,
    storeDir,
    get producer() {
      return life.producer;
    },
    get api() {
      return life.api;
    },
    get client() {
      return client;
    },
    async event(type, json) {
      const whole = { timestamp: formatTimestamp(Date.now()), ...json };
      await redis.ask("XADD", "events", "*", "type", type, "json", JSON.stringify(whole));
    },
    events,
    async settled() {
      const last = (await events()).at(-1)?.id;
      await poll("the book has every event", async () => {
        const applied = await life.book.lastEvent();
        return applied === last || `${applied} and not ${last}`;
      });
    },
    async restart() {
      await life[Symbol.asyncDispose]();
      life = await openLife(folder, redis, store, limits);
      client = new Client2023(life.api.url);
    },
    async [Symbol.asyncDispose]() {
      await life[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What is no JSON, since a test wrote it that way, is nothing. */
function objectOf(text: string): FoundEvent["json"] {
  try {
    return JSON.parse(text) as FoundEvent["json"];
  } catch {
    return {};
  }
}

interface FoundEvent {
  readonly id: string;
  readonly type: string;
  readonly json: Record<string, unknown>;
}

interface Life extends AsyncDisposable {
  readonly api: JobApi;
  readonly book: TaskBook;
  readonly producer: JobProducer;
}

async function openLife(
  folder: string,
  redis: PrivateRedis,
  store: ArtifactStore,
  limits: Partial<JobApiLimits>,
): Promise<Life> {
  const scope = new Scope();
  const tempDir = join(folder, "temp");
  await mkdir(tempDir, { recursive: true });
  const book = scope.use(await openTaskBook({ file: join(folder, "tasks.db"), log: silentLog }));
  const producer = scope.use(
    openRedisProducer({
      settings: { type: "single", address: { host: "127.0.0.1", port: redis.port } },
      times: { ...REDIS_TIMES, retryFirstMs: 20, retryMaxMs: 200 },
      eventsStream: EVENTS_STREAM,
      eventsMax: 10_000,
      commandKeyOf: (id) => commandKeysOf(id)[0],
      clock: systemClock,
    }),
  );
  const api = scope.use(
    await openJobApi({
      host: "127.0.0.1",
      port: 0,
      key: new Secret("1234"),
      isForThisHost: true,
      isRegistrationOpen: true,
      limits: { ...DEFAULT_JOB_API_LIMITS, ...limits },
      archiveLimits: ARCHIVE_LIMITS,
      methodTypes: DEFAULT_METHOD_TYPES,
      producer,
      book,
      store,
      archiver: zipArchiver,
      tempDir,
      nowMs: () => performance.timeOrigin + performance.now(),
      log: silentLog,
    }),
  );
  return { api, book, producer, [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose]() };
}

const ARCHIVE_LIMITS: ArchiveLimits = {
  entries: 10_000,
  totalBytes: 1024 ** 3,
  ratio: 1000,
  depth: 32,
  nameBytes: 1024,
  deadlineMs: 30_000,
};
