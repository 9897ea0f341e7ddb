import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Loaded } from "./config/index.ts";
import { describeConfig, loadConfig } from "./config/index.ts";
import { readRedisSettings, toStreamSettings } from "./open-stream-inputs.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-inputs-"));
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

function load(redis: Readonly<Record<string, string>>): Loaded {
  const named = Object.entries(redis).map(([name, value]) => [`HEARTH_STREAM_REDIS_${name}`, value]);
  const env = { HOME: "/nobody", ...Object.fromEntries(named) };
  const { loaded } = loadConfig({ env, cwd: "/", isRoot: false });
  if (loaded === undefined) throw new Error("the settings are wrong");
  return loaded;
}

const read = async (redis: Readonly<Record<string, string>>) =>
  await readRedisSettings(load(redis).config.stream);

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

test("one server, by its address and the number of its database", async () => {
  expect(await read({ HOST: "r", PORT: "7000", DATABASE: "3" })).toEqual({
    type: "single",
    address: { host: "r", port: 7000 },
    database: 3,
  });
});

test("an ACL user, with a password that is told or is in a file", async () => {
  const told = await read({ USERNAME: "hearth", PASSWORD: "a b" });
  expect([told.username, told.password?.reveal()]).toEqual(["hearth", "a b"]);
  const path = await file("password", "from a file\n");
  const filed = await read({ PASSWORD_FILE: path });
  expect([filed.username, filed.password?.reveal()]).toEqual([undefined, "from a file"]);
  expect((await read({ PASSWORD: "told", PASSWORD_FILE: path })).password?.reveal()).toBe("told");
});

const SENTINELS = { SENTINELS: "s1:26379,[::1]:26380", SENTINEL_PRIMARY: "jobs" };

test("Sentinels without a password get none, not even that of the server", async () => {
  const settings = await read({ ...SENTINELS, PASSWORD: "the server's", DATABASE: "1" });
  expect(settings).toMatchObject({
    type: "sentinel",
    primary: "jobs",
    sentinels: [
      { host: "s1", port: 26_379 },
      { host: "::1", port: 26_380 },
    ],
    database: 1,
  });
  expect(Object.keys(settings)).not.toContain("sentinelPassword");
  expect(Object.keys(settings)).not.toContain("sentinelUsername");
});

test("Sentinels have a user and a password of their own, told or in a file", async () => {
  const told = await read({ ...SENTINELS, SENTINEL_USERNAME: "asker", SENTINEL_PASSWORD: "theirs" });
  if (told.type !== "sentinel") throw new Error(told.type);
  expect([told.sentinelUsername, told.sentinelPassword?.reveal()]).toEqual(["asker", "theirs"]);
  expect([told.username, told.password]).toEqual([undefined, undefined]);
  const path = await file("sentinel-password", "from a file\n");
  const filed = await read({ ...SENTINELS, SENTINEL_PASSWORD_FILE: path });
  expect(filed.type === "sentinel" && filed.sentinelPassword?.reveal()).toBe("from a file");
});

test("a Cluster, by some of its nodes, with the user and the password of each", async () => {
  const settings = await read({ CLUSTER: "a:7000,b:7001", USERNAME: "hearth", PASSWORD: "secret" });
  expect(settings).toMatchObject({
    type: "cluster",
    nodes: [
      { host: "a", port: 7000 },
      { host: "b", port: 7001 },
    ],
    username: "hearth",
  });
  expect(settings.password?.reveal()).toBe("secret");
});

test("TLS, with the files that are named, and nothing of them where it is off", async () => {
  const paths = {
    TLS_CA: await file("ca", "the CA"),
    TLS_CERT: await file("cert", "the certificate"),
    TLS_KEY: await file("key", "the key"),
  };
  const { tls } = await read({ TLS: "true", TLS_NAME: "queue", ...paths });
  expect(tls).toMatchObject({ ca: "the CA", cert: "the certificate", serverName: "queue" });
  expect(tls?.key?.reveal()).toBe("the key");
  expect((await read({ TLS: "true" })).tls).toEqual({});
  expect((await read(paths)).tls).toBeUndefined();
});

test.each([
  ["password_file", {}],
  ["sentinel_password_file", SENTINELS],
  ["tls_ca", { TLS: "true" }],
  ["tls_cert", { TLS: "true" }],
  ["tls_key", { TLS: "true" }],
])("a %s that is missing is named, with its setting", async (key, more) => {
  const path = join(folder, "none");
  await expect(read({ ...more, [key.toUpperCase()]: path })).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    facts: { field: `stream.redis.${key}`, reason: `${path} cannot be read (ENOENT)` },
  });
});

test("a file of a password with nothing in it is no password", async () => {
  const path = await file("empty", "\n");
  await expect(read({ ...SENTINELS, SENTINEL_PASSWORD_FILE: path })).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    facts: { field: "stream.redis.sentinel_password_file", reason: `${path} is empty` },
  });
});

test("no password is shown by whoever shows the settings, nor by what is made of them", async () => {
  const env = { ...SENTINELS, PASSWORD: "canary-1", SENTINEL_PASSWORD: "canary-2" };
  const loaded = load(env);
  const shown = new Map(describeConfig(loaded).map(({ key, value }) => [key, value]));
  for (const name of ["password", "sentinel_password"])
    expect(shown.get(`stream.redis.${name}`)).toBe("[redacted]");
  const settings = await readRedisSettings(loaded.config.stream);
  expect(JSON.stringify([loaded.config, settings, [...shown]])).not.toContain("canary");
});

test("unpacking an input may take a minute", () => {
  expect(toStreamSettings(load({}).config).inputLimits.deadlineMs).toBe(60_000);
});
