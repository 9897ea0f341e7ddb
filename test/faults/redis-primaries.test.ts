import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@redis/client";
import { expect, test } from "vitest";
import { loadConfig } from "../../src/config/index.ts";
import type { RedisSettings } from "../../src/drivers/queue/index.ts";
import { REDIS_TIMES } from "../../src/drivers/queue/index.ts";
import { openRedisProducer } from "../../src/drivers/queue/redis/producer.ts";
import { readRedisSettings } from "../../src/open-stream-inputs.ts";
import { systemClock } from "../../src/std/index.ts";
import { claimOne, completed, STREAM_A, signal } from "../conformance/job-source/world.ts";
import { kept } from "../support/kept.ts";
import { poll } from "../support/poll.ts";
import { freePort, openPrivateRedis } from "../support/private-redis.ts";
import { eventsIn, pendingIn, redisHost } from "../support/redis-world.ts";

test("F4: the primary dies and its replica takes over: jobs go on, and only what Redis lost is lost", async () => {
  const primary = kept(await openPrivateRedis());
  const replica = kept(await openPrivateRedis({ args: ["--replicaof", "127.0.0.1", String(primary.port)] }));
  await poll("the replica follows", async () => {
    const info = String(await replica.ask("INFO", "replication"));
    return info.includes("master_link_status:up") || info;
  });
  const sentinel = kept(await openSentinel(primary.port));
  const settings: RedisSettings = {
    type: "sentinel",
    primary: "jobs",
    // One that is away is passed over.
    sentinels: [
      { host: "127.0.0.1", port: await freePort() },
      { host: "127.0.0.1", port: sentinel.port },
    ],
  };
  const host = kept(redisHost("h1", { settings, limits: { leaseMs: 60_000 } }));
  for (const id of ["before", "runs"]) await primary.ask("XADD", STREAM_A, "*", "id", id);
  expect(await host.commit(await claimOne(host), completed("before"))).toBe("committed");
  const runs = await claimOne(host);
  expect(await primary.ask("WAIT", "1", "60000")).toBe(1);
  await primary.stop("SIGKILL");
  const said = host.commit(runs, completed("runs"));
  await poll("the sentinel has promoted it", async () => {
    // It hangs up on everybody when it changes its role.
    const role = JSON.stringify(await replica.ask("ROLE").catch(String));
    return role.startsWith('["master"') || role;
  });
  expect(await said).toBe("committed");
  await replica.ask("XADD", STREAM_A, "*", "id", "before");
  await replica.ask("XADD", STREAM_A, "*", "id", "after");
  expect((await claimOne(host)).jobId).toBe("after");
  expect((await eventsIn(replica.ask)).map(({ json }) => json["id"])).toEqual(["before", "runs"]);
  expect(await pendingIn(replica.ask, STREAM_A)).toBe(1);
  expect(host.figures.emptied).toBe(0);
}, 180_000);

test("F4: a primary that is made a replica is left for the new one", async () => {
  const [one, two] = [kept(await openPrivateRedis()), kept(await openPrivateRedis())];
  const host = kept(redisHost("h1", { settings: one.settings }));
  await host.untilUp(signal());
  await one.ask("REPLICAOF", "127.0.0.1", String(two.port));
  const said = host.publish([{ type: "E", json: {} }]);
  await poll(
    "it is said",
    () => JSON.stringify(host.state).includes("READONLY") || JSON.stringify(host.state),
  );
  await one.ask("REPLICAOF", "NO", "ONE");
  expect(await said).toBe(true);
});

test("a completion that Redis has lost with its last moments is said again, and its job is not run again", async () => {
  const redis = kept(await openPrivateRedis({ args: ["--save", "3600 1"] }));
  const host = kept(redisHost("h1", { settings: redis.settings, limits: { leaseMs: 60_000 } }));
  await redis.ask("XADD", STREAM_A, "*", "id", "j");
  const claim = await claimOne(host);
  await redis.ask("SAVE");
  expect(await host.commit(claim, completed("j"))).toBe("committed");
  await redis.stop("SIGKILL");
  await redis.start();
  expect(await pendingIn(redis.ask, STREAM_A)).toBe(1);
  await poll("it is heard again", async () => {
    expect(await host.claim(1, 300, signal())).toEqual([]);
    return (await pendingIn(redis.ask, STREAM_A)) === 0 || "pending";
  });
  expect(await eventsIn(redis.ask)).toEqual(completed("j").events);
});

/** As the daemon and the web API read it from their variables. */
async function settingsOf(variables: Readonly<Record<string, string>>): Promise<RedisSettings> {
  const named = Object.entries(variables).map(([name, value]) => [`HEARTH_STREAM_REDIS_${name}`, value]);
  const env = { HOME: "/nobody", ...Object.fromEntries(named) };
  const { loaded, faults } = loadConfig({ env, cwd: "/", isRoot: false });
  if (loaded === undefined) throw new Error(JSON.stringify(faults));
  return await readRedisSettings(loaded.config.stream);
}

test("Sentinels that ask for a password, or for a user, are asked with the one of the settings", async () => {
  const primary = kept(await openPrivateRedis());
  const asker = "user asker on >the-askers allchannels -@all +auth +sentinel|get-master-addr-by-name";
  const lines = ["requirepass the-sentinels", asker];
  const sentinel = kept(await openSentinel(primary.port, { lines, password: "the-sentinels", replicas: 0 }));
  const folder = kept(await tempFolder());
  const file = join(folder.path, "password");
  await writeFile(file, "the-sentinels\n");
  const where = { SENTINELS: `127.0.0.1:${sentinel.port}`, SENTINEL_PRIMARY: "jobs" };
  const ways = [
    { SENTINEL_PASSWORD: "the-sentinels" },
    { SENTINEL_PASSWORD_FILE: file },
    { SENTINEL_USERNAME: "asker", SENTINEL_PASSWORD: "the-askers" },
  ];
  for (const [at, way] of ways.entries()) {
    const settings = await settingsOf({ ...where, ...way });
    const producer = kept(
      openRedisProducer({
        settings,
        times: REDIS_TIMES,
        eventsStream: "events",
        eventsMax: 100,
        commandKeyOf: (id) => `task:${id}:commands`,
        clock: systemClock,
      }),
    );
    const request = { stream: STREAM_A, fields: { id: `j${at}` } };
    await poll("the web API reaches it", () =>
      producer.enqueue(request, { type: "TaskInputUploaded", json: {} }).then(() => true as const, String),
    );
    const host = kept(redisHost(`h${at}`, { settings, limits: { leaseMs: 60_000 } }));
    expect(await host.commit(await claimOne(host), completed(`j${at}`))).toBe("committed");
  }
  // The password of the server is no password of the sentinels.
  for (const [at, way] of [{}, { PASSWORD: "the-sentinels" }, { SENTINEL_PASSWORD: "wrong-one" }].entries()) {
    const host = kept(redisHost(`shut-out${at}`, { settings: await settingsOf({ ...where, ...way }) }));
    await poll("it is said", () => /NOAUTH|WRONGPASS/.test(JSON.stringify(host.state)) || "no word");
    expect(JSON.stringify(host.state)).not.toMatch(/the-sentinels|wrong-one/);
  }
}, 180_000);

async function tempFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "hearth-sentinel-"));
  return { path, [Symbol.asyncDispose]: async () => await rm(path, { recursive: true, force: true }) };
}

interface SentinelOptions {
  /** Further lines of its file. */
  readonly lines?: readonly string[];
  /** What it asks this test for. */
  readonly password?: string;
  /** How many it is to know before it is used. */
  readonly replicas?: number;
}

interface Sentinel extends AsyncDisposable {
  readonly port: number;
}

/** One sentinel that decides alone, and soon. */
async function openSentinel(primaryPort: number, options: SentinelOptions = {}): Promise<Sentinel> {
  const { password, replicas: expected = 1 } = options;
  const folder = await tempFolder();
  const port = await freePort();
  const file = join(folder.path, "sentinel.conf");
  const lines = [
    `port ${port}`,
    "bind 127.0.0.1",
    `dir ${folder.path}`,
    `sentinel monitor jobs 127.0.0.1 ${primaryPort} 1`,
    // More than a living one may stand still on a busy machine.
    "sentinel down-after-milliseconds jobs 4000",
    "sentinel failover-timeout jobs 10000",
    ...(options.lines ?? []),
  ];
  await writeFile(file, `${lines.join("\n")}\n`);
  const child = spawn("redis-server", [file, "--sentinel"], { stdio: "ignore" });
  const exited = once(child, "exit");
  await poll("the sentinel knows its replicas", async () => {
    const socket = { host: "127.0.0.1", port, reconnectStrategy: false } as const;
    const client = createClient({ RESP: 2, socket, ...(password === undefined ? {} : { password }) });
    client.on("error", () => undefined); // asked again
    try {
      await client.connect();
      const replicas = await client.sendCommand<unknown[]>(["SENTINEL", "REPLICAS", "jobs"]);
      return replicas.length === expected || `${replicas.length} replicas`;
    } catch (error) {
      return String(error);
    } finally {
      client.destroy();
    }
  });
  return {
    port,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await exited;
      await folder[Symbol.asyncDispose]();
    },
  };
}
