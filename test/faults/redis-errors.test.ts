import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Log } from "../../src/core/index.ts";
import { Secret } from "../../src/core/index.ts";
import { openRedisFleet } from "../../src/drivers/queue/index.ts";
import {
  claimOne,
  completed,
  LEASE_MS,
  STREAM_A,
  STREAM_B,
  signal,
} from "../conformance/job-source/world.ts";
import { kept } from "../support/kept.ts";
import { poll } from "../support/poll.ts";
import { openPrivateRedis } from "../support/private-redis.ts";
import { eventsIn, pendingIn, redisHost } from "../support/redis-world.ts";
import { openTcpProxy } from "../support/tcp-proxy.ts";

/** The first words are those of Redis's own texts. */
const PASSING = [
  "OOM command not allowed when used memory > 'maxmemory'.",
  "LOADING Redis is loading the dataset in memory",
  "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
  "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
  "NOREPLICAS Not enough good replicas to write.",
  "READONLY You can't write against a read only replica.",
  "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
  "TRYAGAIN Multiple keys request during rehashing of slot",
  "ERR max number of clients reached",
  "NOAUTH Authentication required.",
  "NOPERM this user has no permissions to run the 'evalsha' command",
  "NOSCRIPT No matching script. Please use EVAL.",
];

describe("F9: an error of Redis costs no job and no event", () => {
  test.each(PASSING)("%s", async (text) => {
    const redis = kept(await openPrivateRedis());
    const proxy = kept(await openTcpProxy(redis.port));
    const settings = { type: "single", address: { host: "127.0.0.1", port: proxy.port } } as const;
    const host = kept(redisHost("h1", { settings }));
    await redis.ask("XADD", STREAM_A, "*", "id", "j1");
    const first = await claimOne(host);
    let struck = 0;
    proxy.answer((chunk) => {
      const count = chunk.match(/\r\nEVALSHA\r\n/g)?.length ?? 0;
      // Beside something else, or the rest of a long one, that would stay without its answer or its end, and what follows be taken for it.
      const commands = chunk.match(/(?:^|\r\n)\*\d+\r\n\$/g)?.length ?? 0;
      if (count === 0 || count !== commands || !chunk.startsWith("*") || struck >= 4) return undefined;
      struck += count;
      return `-${text}\r\n`.repeat(count);
    });
    const said = host.commit(first, completed("j1"));
    await redis.ask("XADD", STREAM_A, "*", "id", "j2");
    const second = await claimOne(host);
    expect(await said).toBe("committed");
    expect(await host.commit(second, completed("j2"))).toBe("committed");
    expect(struck).toBeGreaterThan(0);
    expect((await eventsIn(redis.ask)).map(({ json }) => json["id"]).toSorted()).toEqual(["j1", "j2"]);
    expect(await pendingIn(redis.ask, STREAM_A)).toBe(0);
    expect(second.deaths).toBe(0);
    await poll("it is well", async () => {
      await host.claim(1, 100, signal());
      return host.state.type === "connected" || JSON.stringify(host.state);
    });
  });
});

test("F9: a server that is out of memory refuses a step as a whole, and takes it when there is room", async () => {
  const redis = kept(await openPrivateRedis());
  const host = kept(redisHost("h1", { settings: redis.settings }));
  for (const id of ["j1", "j2"]) await redis.ask("XADD", STREAM_A, "*", "id", id);
  const claim = await claimOne(host);
  await redis.ask("CONFIG", "SET", "maxmemory", "1");
  const said = host.commit(claim, completed("j1"));
  expect(await host.claim(1, LEASE_MS / 2, signal())).toEqual([]);
  expect(await pendingIn(redis.ask, STREAM_A)).toBe(1);
  expect(await redis.ask("KEYS", "hearth:done:*")).toEqual([]);
  await redis.ask("CONFIG", "SET", "maxmemory", "0");
  expect(await said).toBe("committed");
  expect((await claimOne(host)).jobId).toBe("j2");
});

test("F9: a password that is wrong is said, and found right once it is", async () => {
  const redis = kept(await openPrivateRedis());
  const settings = { ...redis.settings, password: new Secret("right") };
  await redis.ask("CONFIG", "SET", "requirepass", "other");
  const host = kept(redisHost("h1", { settings }));
  await poll(
    "it is said",
    () => JSON.stringify(host.state).includes("WRONGPASS") || JSON.stringify(host.state),
  );
  expect(JSON.stringify(host.state)).not.toContain("right");
  await redis.ask("CONFIG", "SET", "requirepass", "right");
  await host.untilUp(signal());
  expect(host.state).toEqual({ type: "connected" });
});

test("whoever asks a queue that is away is told so once, and why", async () => {
  const redis = kept(await openPrivateRedis());
  const host = kept(redisHost("h1", { settings: redis.settings }));
  const board = kept(openRedisFleet({ settings: redis.settings, lifeMs: 1000 }));
  await Promise.all([host.untilUp(signal()), board.ready(signal())]);
  await redis.stop();
  await poll("both know", async () => {
    const reasons = await Promise.allSettled([
      board.hosts(signal()),
      host.deadLetters(1, signal()),
      host.leave(signal()),
    ]);
    const told = reasons.map((one) => (one.status === "rejected" ? String(one.reason) : "an answer"));
    const isTold = told.every(
      (text) => /ECONNREFUSED/.test(text) && text.split("does not answer").length === 2,
    );
    return isTold || told.join(" | ");
  });
});

/** As docs/queue.md gives them: everything after the password. */
function documentedRights(): readonly string[] {
  const page = readFileSync(new URL("../../docs/queue.md", import.meta.url), "utf8");
  const [, rights = ""] = /^user hearth on >\S+ ([^`]+)^```/m.exec(page) ?? [];
  return rights.trim().split(/\s+/);
}

test("a user with the documented rights can do everything, and one without a stream is told which", async () => {
  const redis = kept(await openPrivateRedis());
  await redis.ask("ACL", "SETUSER", "hearth", "on", ">secret", ...documentedRights());
  const access = { username: "hearth", password: new Secret("secret") };
  const host = kept(redisHost("h1", { settings: { ...redis.settings, ...access } }));
  for (const id of ["j1", "j2", "j3"]) await redis.ask("XADD", STREAM_A, "*", "id", id);
  const heard: string[] = [];
  const stop = new AbortController();
  await host.watchCommands("j1", (message) => heard.push(message), stop.signal);
  await redis.ask("LPUSH", "task:j1:commands", "kill");
  const [first, second, third] = [await claimOne(host), await claimOne(host), await claimOne(host)];
  expect(await host.renew([first, second, third])).toEqual([]);
  expect(await host.publish([{ type: "TaskStarted", json: {} }], first)).toBe(true);
  expect(await host.publish([{ type: "ExecuterTerminated", json: {} }])).toBe(true);
  expect(await host.commit(first, completed("j1"))).toBe("committed");
  await poll("the kill", () => heard.length === 1 || "nothing");
  stop.abort();
  await poll("what is sent to it later ends", async () => {
    const left = Number(await redis.ask("TTL", "task:j1:commands"));
    return left > 0 || String(left);
  });
  expect(await host.deadLetter(second, "bad", [])).toBe("committed");
  await host.release([third], "drain");
  expect(await host.deadLetters(5, signal())).toHaveLength(1);
  expect(await host.replay("all", signal())).toBe(1);
  expect(await host.leave(signal())).toBe(true);
  expect(host.state).toEqual({ type: "connected" });

  const rights = documentedRights().filter((word) => word !== "~*_requests");
  expect(rights).toHaveLength(documentedRights().length - 1);
  await redis.ask("ACL", "SETUSER", "half", "on", ">secret", ...rights);
  await redis.ask("ACL", "SETUSER", "half", `~${STREAM_B}`);
  const half = kept(redisHost("h2", { settings: { ...redis.settings, ...access, username: "half" } }));
  await redis.ask("XADD", STREAM_B, "*", "id", "good");
  expect((await claimOne(half)).jobId).toBe("good");
  expect(await half.claim(1, 700, signal())).toEqual([]);
  expect(half.state).toMatchObject({ type: "broken", stream: STREAM_A });
  expect(await pendingIn(redis.ask, STREAM_B)).toBe(1);
});

test("D7: a list for kills that a user may read and not write is told of once, spoils no other, and is heard once it may", async () => {
  const redis = kept(await openPrivateRedis());
  const rights = documentedRights().map((word) => (word === "~task:*" ? "~task:good:*" : word));
  expect(rights).not.toEqual(documentedRights());
  await redis.ask("ACL", "SETUSER", "reader", "on", ">secret", ...rights, "%R~task:bad:*");
  const access = { username: "reader", password: new Secret("secret") };
  const said: string[] = [];
  const log: Log = {
    log: (_level, event, facts) => {
      if (/broken|repaired/.test(event)) said.push(`${event} ${String(facts?.["stream"])}`);
    },
  };
  const host = kept(redisHost("h1", { settings: { ...redis.settings, ...access }, log }));
  await host.untilUp(signal());
  const heard: string[] = [];
  for (const job of ["bad", "good"])
    await host.watchCommands(job, (message) => heard.push(`${job} ${message}`), signal());
  await redis.ask("LPUSH", "task:bad:commands", "kill");
  const lists = (event: string): readonly string[] =>
    ["commands", "events"].map((name) => `${event} task:bad:${name}`);
  await poll("both are told", () => said.length === 2 || said.join());
  expect(said.toSorted()).toEqual(lists("queue.broken"));
  await redis.ask("LPUSH", "task:good:commands", "kill");
  await poll("the good one hears", () => heard.length > 0 || "nothing");
  expect(heard).toEqual(["good kill"]);
  await redis.ask("ACL", "SETUSER", "reader", "~task:bad:*");
  await poll("the other one hears", () => heard.length > 1 || said.join());
  expect(heard).toEqual(["good kill", "bad kill"]);
  await poll("both are told again", () => said.length === 4 || said.join());
  expect(said.slice(2).toSorted()).toEqual(lists("queue.repaired"));
});
