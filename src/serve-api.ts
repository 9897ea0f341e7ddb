/**
 * The web API of `hearth api`: a process of its own beside the daemon, with the same configuration. Opens its parts in the order in
 * which they rest on each other, waits for the wish to end, and lets go in the reverse order.
 */
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Config, Loaded } from "./config/index.ts";
import { commandKeysOf, DEFAULT_METHOD_TYPES, EVENTS_STREAM } from "./contract/executer-tracker/index.ts";
import type { Log } from "./core/index.ts";
import { ExecutorError, Secret } from "./core/index.ts";
import { DEFAULT_JOB_API_LIMITS } from "./doors/job-api/api-options.ts";
import type { JobApi } from "./doors/job-api/open-job-api.ts";
import { openJobApi } from "./doors/job-api/open-job-api.ts";
import { openRedisProducer } from "./drivers/queue/redis/producer.ts";
import { DEFAULT_BOOK_LIMITS, openTaskBook } from "./drivers/records/open-task-book.ts";
import { openStateDir } from "./drivers/state/open-state-dir.ts";
import { openJobStore } from "./open-job-store.ts";
import { readRedisSettings, toStreamSettings } from "./open-stream-inputs.ts";
import { tellWarnings } from "./runtime-warnings.ts";
import { tellFailure } from "./serve-failure.ts";
import { listenToSignals } from "./signals.ts";
import { zipArchiver } from "./std/archive/index.ts";
import { checkAddresses, isLoopback, Scope, systemClock } from "./std/index.ts";
import { openLog } from "./telemetry/index.ts";

/** For laptops: what the clients of 2023 were shown in their examples. Only where nobody else can reach it. */
const DEVELOPMENT_KEY = "1234";

/** Runs the web API until it is asked to end. @returns the exit code. */
export async function serveApi(loaded: Loaded): Promise<number> {
  const log = openLog({ level: loaded.config.log.level });
  using _warnings = tellWarnings(log);
  const wishes = listenToSignals();
  try {
    await using scope = new Scope(wishes.ended);
    for (const warning of loaded.warnings) log.log("warn", "config.loaded", { warning });
    const { host, port } = await openApi(loaded.config, log, scope);
    warnIfExposed(loaded.config, { host, port }, log);
    for await (const wish of wishes.wishes()) if (wish.type === "stop") break;
    return 0;
  } catch (error) {
    // Asked to end before it had begun.
    if (wishes.ended.aborted && error === wishes.ended.reason) return 0;
    return tellFailure(log, "api.failed", error);
  } finally {
    wishes[Symbol.dispose]();
    await log[Symbol.asyncDispose]();
  }
}

async function openApi(config: Config, log: Log, scope: Scope): Promise<JobApi> {
  const { api, stream } = config;
  const key = await readKey(api);
  // A folder of its own: the daemon beside it has the one above.
  const state = scope.use(await openStateDir(join(config.state_dir, "api"), ""));
  await checkAddresses([{ ...api, section: "api" }]);
  const redis = await readRedisSettings(stream);
  const onAway = (name: string, error: unknown): void =>
    log.log("error", "api.failed", { step: "opening", store: name, error });
  const store = scope.use(await openJobStore(stream, scope.signal, onAway));
  const limits = { ...DEFAULT_BOOK_LIMITS, tasks: api.tasks };
  const book = scope.use(await openTaskBook({ file: join(state.path, "tasks.db"), limits, log }));
  const producer = scope.use(
    openRedisProducer({
      settings: redis,
      eventsStream: EVENTS_STREAM,
      eventsMax: stream.events_kept,
      commandKeyOf: (id) => commandKeysOf(id)[0],
      clock: systemClock,
    }),
  );
  return scope.use(
    await openJobApi({
      host: api.host,
      port: api.port,
      key,
      isForThisHost: key.reveal() === DEVELOPMENT_KEY && isLoopback(api.host),
      isRegistrationOpen: api.open_registration,
      limits: { ...DEFAULT_JOB_API_LIMITS, uploadBytes: api.upload_bytes },
      archiveLimits: toStreamSettings(config).outputLimits,
      methodTypes: methodTypesOf(api),
      producer,
      book,
      store,
      archiver: zipArchiver,
      tempDir: await emptyFolder(join(state.path, "temp")),
      nowMs: () => performance.timeOrigin + performance.now(),
      log,
    }),
  );
}

/** @throws {@link ExecutorError} CONFIG_INVALID where there is no key and others can reach the address, or its file cannot be read. */
async function readKey({ host, key, key_file: file }: Config["api"]): Promise<Secret> {
  if (key.reveal() !== "") return key;
  if (file !== "") return new Secret(await readKeyFile(file));
  if (isLoopback(host)) return new Secret(DEVELOPMENT_KEY);
  const reason = `without a key it may only listen on this host, and not on ${host}`;
  throw new ExecutorError("CONFIG_INVALID", { field: "api.key", reason });
}

async function readKeyFile(file: string): Promise<string> {
  try {
    const key = (await readFile(file, "utf8")).trim();
    if (key !== "") return key;
  } catch (cause) {
    throw new ExecutorError(
      "CONFIG_INVALID",
      { field: "api.key_file", reason: `${file} cannot be read` },
      { cause },
    );
  }
  throw new ExecutorError("CONFIG_INVALID", { field: "api.key_file", reason: `${file} is empty` });
}

function methodTypesOf({ methods }: Config["api"]): Readonly<Record<string, string>> {
  const own = methods.map(({ method, executer_type: type }): [string, string] => [method, type]);
  return { ...DEFAULT_METHOD_TYPES, ...Object.fromEntries(own) };
}

/** What a life that was killed left there is nobody's. */
async function emptyFolder(path: string): Promise<string> {
  await rm(path, { recursive: true, force: true });
  await mkdir(path, { mode: 0o700 });
  return path;
}

function warnIfExposed({ api }: Config, { host, port }: Pick<JobApi, "host" | "port">, log: Log): void {
  if (isLoopback(api.host)) return;
  const advice = "the key travels in the clear: put a proxy with TLS in front of it";
  log.log("warn", "api.exposed", { host, port, isRegistrationOpen: api.open_registration, advice });
}
