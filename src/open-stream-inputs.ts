/** What the stream door is told by files and settings, read and judged before anything is opened. */
import { readFile, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Config } from "./config/index.ts";
import { parseNode } from "./config/index.ts";
import type { ImagesFile, MethodTable } from "./contract/executer-tracker/index.ts";
import { DEFAULT_METHODS, parseImagesFile, parseMethods } from "./contract/executer-tracker/index.ts";
import type { ArchiveLimits, Secret } from "./core/index.ts";
import { ExecutorError, MEBIBYTE, Secret as SecretText } from "./core/index.ts";
import type { SharedDir, StreamSettings } from "./doors/stream/door-options.ts";
import type { RedisSettings, RedisTls } from "./drivers/queue/index.ts";
import { makeFolder } from "./std/files/index.ts";

type SentinelAccess = Pick<
  Extract<RedisSettings, { type: "sentinel" }>,
  "sentinelUsername" | "sentinelPassword"
>;

const LARGEST_BYTES = MEBIBYTE;
const DEPTH = 32;
const NAME_BYTES = 255;
/** Results are this host's own work: nothing is expected of how well they pack. */
const ANY_RATIO = 1_000_000;

/** @throws {@link ExecutorError} CONFIG_INVALID that names every fault of the file. */
export async function readImagesFile(path: string): Promise<ImagesFile> {
  const parsed = parseImagesFile(await readText(path, "stream.images_file"));
  if (parsed.isValid) return parsed.types;
  throw wrong("stream.images_file", `${path}: ${parsed.faults.join("; ")}`);
}

/** @throws {@link ExecutorError} CONFIG_INVALID that names every fault of the file. */
export async function readMethods(path: string): Promise<MethodTable> {
  if (path === "") return DEFAULT_METHODS;
  const parsed = parseMethods(await readText(path, "stream.methods_file"));
  if (parsed.isValid) return parsed.methods;
  throw wrong("stream.methods_file", `${path}: ${parsed.faults.join("; ")}`);
}

/**
 * Both names of the folder of work folders. The docker driver cannot guess them: what this process sees is not what the engine
 * mounts, where one of them is in a container.
 *
 * @throws {@link ExecutorError} CONFIG_INVALID.
 */
export async function readSharedDir(config: Config, driverName: string): Promise<SharedDir> {
  const { shared_dir_local: local, shared_dir_host: host } = config.stream;
  if (driverName === "process") {
    const localPath = local === "" ? join(config.state_dir, "jobs") : local;
    await makeFolder(localPath, 0o711).catch((cause: unknown) => {
      throw wrong(
        "stream.shared_dir_local",
        `${localPath} cannot be made (${String((cause as NodeJS.ErrnoException).code)})`,
      );
    });
    return { localPath, hostPath: localPath };
  }
  if (local === "") throw wrong("stream.shared_dir_local", "it is not set (SHARED_DIR_LOCAL)");
  if (host === "") throw wrong("stream.shared_dir_host", "it is not set (SHARED_DIR_HOST)");
  const found = await stat(local).catch(() => undefined);
  if (found?.isDirectory() !== true) throw wrong("stream.shared_dir_local", `${local} is not a folder`);
  return { localPath: local, hostPath: host };
}

/** @throws {@link ExecutorError} CONFIG_INVALID for a file that cannot be read. */
export async function readRedisSettings({ redis }: Config["stream"]): Promise<RedisSettings> {
  const password = await readSecret(redis.password, redis.password_file, "stream.redis.password_file");
  const access = {
    ...(redis.username === "" ? {} : { username: redis.username }),
    ...(password === undefined ? {} : { password }),
    ...(redis.tls ? { tls: await readTls(redis) } : {}),
  };
  const { database } = redis;
  if (redis.cluster.length > 0) return { ...access, type: "cluster", nodes: redis.cluster.map(parseNode) };
  if (redis.sentinels.length > 0) {
    const primary = redis.sentinel_primary;
    const sentinels = redis.sentinels.map(parseNode);
    return {
      ...access,
      ...(await readSentinelAccess(redis)),
      type: "sentinel",
      primary,
      sentinels,
      database,
    };
  }
  return { ...access, type: "single", address: { host: redis.host, port: redis.port }, database };
}

async function readSentinelAccess(redis: Config["stream"]["redis"]): Promise<SentinelAccess> {
  const { sentinel_username: user, sentinel_password: value, sentinel_password_file: file } = redis;
  const password = await readSecret(value, file, "stream.redis.sentinel_password_file");
  return {
    ...(user === "" ? {} : { sentinelUsername: user }),
    ...(password === undefined ? {} : { sentinelPassword: password }),
  };
}

async function readTls(redis: Config["stream"]["redis"]): Promise<RedisTls> {
  const read = async (path: string, key: string): Promise<string | undefined> =>
    path === "" ? undefined : await readText(path, `stream.redis.${key}`);
  const [ca, cert, key] = await Promise.all([
    read(redis.tls_ca, "tls_ca"),
    read(redis.tls_cert, "tls_cert"),
    read(redis.tls_key, "tls_key"),
  ]);
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key: new SecretText(key) }),
    ...(redis.tls_name === "" ? {} : { serverName: redis.tls_name }),
  };
}

/** What of the settings the door itself goes by. */
export function toStreamSettings({ stream }: Config): StreamSettings {
  const { input, output } = stream;
  return {
    concurrency: stream.concurrency,
    claimAhead: stream.claim_ahead,
    leaseMs: stream.lease_s * 1000,
    maxDeaths: stream.max_deaths,
    maxAttempts: stream.max_attempts,
    killGraceMs: stream.kill_grace_s * 1000,
    onStop: stream.on_stop,
    inputBytes: input.mb * MEBIBYTE,
    inputLimits: limits(input.mb, input.entries, input.ratio, input.seconds),
    outputLimits: limits(output.mb, output.entries, ANY_RATIO, output.seconds),
    logBytes: output.log_mb * MEBIBYTE,
    uploadPatienceMs: output.upload_s * 1000,
    disk: {
      reserveBytes: stream.disk_reserve === 0 ? undefined : stream.disk_reserve * MEBIBYTE,
      jobBytes: stream.disk === 0 ? undefined : stream.disk * MEBIBYTE,
      parts: stream.concurrency,
    },
    workingDir: stream.working_dir,
    hostName: stream.host_name === "" ? hostname() : stream.host_name,
    labels: Object.fromEntries(stream.labels.map(splitLabel)),
    fleetMs: stream.fleet_s * 1000,
  };
}

function limits(megabytes: number, entries: number, ratio: number, seconds: number): ArchiveLimits {
  const totalBytes = megabytes * MEBIBYTE;
  return { entries, totalBytes, ratio, depth: DEPTH, nameBytes: NAME_BYTES, deadlineMs: seconds * 1000 };
}

function splitLabel(text: string): readonly [string, string] {
  const at = text.indexOf("=");
  return [text.slice(0, at), text.slice(at + 1)];
}

async function readSecret(value: Secret, path: string, field: string): Promise<Secret | undefined> {
  if (value.reveal() !== "") return value;
  if (path === "") return undefined;
  const text = (await readText(path, field)).trim();
  if (text === "") throw wrong(field, `${path} is empty`);
  return new SecretText(text);
}

async function readText(path: string, field: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > LARGEST_BYTES) throw wrong(field, `${path} is longer than ${LARGEST_BYTES} bytes`);
    return await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof ExecutorError) throw cause;
    const { code } = cause as { readonly code?: unknown };
    throw wrong(field, `${path} cannot be read (${String(code)})`, cause);
  }
}

function wrong(field: string, reason: string, cause?: unknown): ExecutorError {
  return new ExecutorError("CONFIG_INVALID", { field, reason }, { cause });
}
