import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@redis/client";
import { expect, test } from "vitest";
import type { RedisSettings } from "../../src/drivers/queue/index.ts";
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

interface Sentinel extends AsyncDisposable {
  readonly port: number;
}

/** One sentinel that decides alone, and soon. */
async function openSentinel(primaryPort: number): Promise<Sentinel> {
  const folder = await mkdtemp(join(tmpdir(), "hearth-sentinel-"));
  const port = await freePort();
  const file = join(folder, "sentinel.conf");
  const lines = [
    `port ${port}`,
    "bind 127.0.0.1",
    `dir ${folder}`,
    `sentinel monitor jobs 127.0.0.1 ${primaryPort} 1`,
    // More than a living one may stand still on a busy machine.
    "sentinel down-after-milliseconds jobs 4000",
    "sentinel failover-timeout jobs 10000",
  ];
  await writeFile(file, `${lines.join("\n")}\n`);
  const child = spawn("redis-server", [file, "--sentinel"], { stdio: "ignore" });
  const exited = once(child, "exit");
  await poll("the sentinel knows the replica", async () => {
    const client = createClient({ RESP: 2, socket: { host: "127.0.0.1", port, reconnectStrategy: false } });
    client.on("error", () => undefined); // asked again
    try {
      await client.connect();
      const replicas = await client.sendCommand<unknown[]>(["SENTINEL", "REPLICAS", "jobs"]);
      return replicas.length === 1 || `${replicas.length} replicas`;
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
      await rm(folder, { recursive: true, force: true });
    },
  };
}
