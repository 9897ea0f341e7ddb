import { readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { FollowedEvent, JobProducer } from "../../src/core/index.ts";
import { Secret } from "../../src/core/index.ts";
import { REDIS_TIMES } from "../../src/drivers/queue/index.ts";
import { openRedisProducer } from "../../src/drivers/queue/redis/producer.ts";
import { systemClock } from "../../src/std/index.ts";
import { poll } from "../support/poll.ts";
import type { PrivateRedis } from "../support/private-redis.ts";
import { openPrivateRedis } from "../support/private-redis.ts";

let redis: PrivateRedis;
let producer: JobProducer;

beforeAll(async () => {
  redis = await openPrivateRedis();
  producer = openRedisProducer({
    settings: redis.settings,
    times: { ...REDIS_TIMES, retryFirstMs: 20, retryMaxMs: 100 },
    eventsStream: "events",
    eventsMax: 100,
    commandKeyOf: (id) => `task:${id}:commands`,
    clock: systemClock,
  });
});
beforeEach(async () => {
  await redis.ask("FLUSHALL");
});
afterAll(async () => {
  await producer[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

const event = (type: string) => ({ type, json: { id: "a" } });
const length = async (stream: string): Promise<number> => Number(await redis.ask("XLEN", stream));
const request = { stream: "math_requests", fields: { id: "a", method: "math.sum" } };

async function read(count = "10"): Promise<unknown> {
  return await redis.ask(
    ...["XREADGROUP", "GROUP", "all_consumers", "me", "COUNT", count, "STREAMS", "math_requests", ">"],
  );
}

test("a request and its event are written in one step, and the id is the entry's", async () => {
  const id = await producer.enqueue(request, event("TaskInputUploaded"));
  expect(await redis.ask("XRANGE", "math_requests", id, id)).toEqual([
    [id, ["id", "a", "method", "math.sum"]],
  ]);
  expect(await length("events")).toBe(1);
});

test("the events stream does not grow without end", async () => {
  for (let at = 0; at < 50; at += 1)
    await producer.publish(Array.from({ length: 20 }, () => event("TaskStarted")));
  // `~` trims whole nodes of the stream, of a hundred entries each.
  expect(await length("events")).toBeLessThanOrEqual(300);
});

test("a request is taken back while no group was given it, with its event", async () => {
  const free = await producer.enqueue(request, event("TaskInputUploaded"));
  expect(await producer.withdraw("math_requests", free, event("TaskKilled"))).toBe(true);
  expect(await length("math_requests")).toBe(0);
  expect(await length("events")).toBe(2);
});

test("one that somebody has, or had, is not; nor one that is not there", async () => {
  await producer.openGroups(["math_requests"], "all_consumers");
  const id = await producer.enqueue(request, event("TaskInputUploaded"));
  await read();
  expect(await producer.withdraw("math_requests", id, event("TaskKilled"))).toBe(false);
  await redis.ask("XACK", "math_requests", "all_consumers", id);
  expect(await producer.withdraw("math_requests", id, event("TaskKilled"))).toBe(false);
  expect(await producer.withdraw("math_requests", "99-1", event("TaskKilled"))).toBe(false);
  expect(await producer.withdraw("nowhere", id, event("TaskKilled"))).toBe(false);
  expect(await length("events")).toBe(1);
  expect(await length("math_requests")).toBe(1);
});

test("among many that wait, one is taken back and the others are given out", async () => {
  await producer.openGroups(["math_requests"], "all_consumers");
  const ids: string[] = [];
  for (let at = 0; at < 3; at += 1) ids.push(await producer.enqueue(request, event("TaskInputUploaded")));
  await read("1");
  expect(await producer.withdraw("math_requests", ids[1] ?? "", event("TaskKilled"))).toBe(true);
  expect(JSON.stringify(await read())).toContain(ids[2]);
});

test("groups are made once, from the beginning", async () => {
  await producer.enqueue(request, event("TaskInputUploaded"));
  await producer.openGroups(["math_requests", "other"], "all_consumers");
  await producer.openGroups(["math_requests", "other"], "all_consumers");
  expect(JSON.stringify(await read())).toContain("math.sum");
});

test("D20: commands are heard in their order by who pops them, and are forgotten some day", async () => {
  await producer.command("a", "one");
  await producer.command("a", "kill");
  expect(await redis.ask("RPOP", "task:a:commands")).toBe("one");
  expect(Number(await redis.ask("TTL", "task:a:commands"))).toBeGreaterThan(86_400);
  for (let at = 0; at < 100; at += 1) await producer.command("a", "kill");
  expect(Number(await redis.ask("LLEN", "task:a:commands"))).toBeLessThanOrEqual(16);
});

test("a key of another type is said in our words, and nothing half is left", async () => {
  await redis.ask("SET", "math_requests", "text");
  await expect(producer.openGroups(["math_requests"], "all_consumers")).rejects.toMatchObject({
    code: "QUEUE_UNAVAILABLE",
  });
  await redis.ask("DEL", "math_requests");
  await redis.ask("SET", "events", "text");
  await expect(producer.enqueue(request, event("TaskInputUploaded"))).rejects.toMatchObject({
    code: "QUEUE_UNAVAILABLE",
  });
  expect(await redis.ask("EXISTS", "math_requests")).toBe(0);
});

test("events are followed from where one left off, over a restart that loses them all", async () => {
  await producer.publish([event("one"), event("two")]);
  const [first] = (await redis.ask("XRANGE", "events", "-", "+")) as [string, string[]][];
  const stop = new AbortController();
  const seen: (FollowedEvent | { readonly type: "restarted" })[] = [];
  const following = (async () => {
    for await (const one of producer.follow(first?.[0], stop.signal)) seen.push(one);
  })();
  await poll("the second one is there", () => seen.length === 1 || String(seen.length));
  expect(seen[0]).toMatchObject({ fields: { type: "two", json: '{"id":"a"}' } });
  await redis.stop("SIGKILL");
  await redis.start();
  await poll("the stream is a new one", () => seen.length === 2 || String(seen.length));
  expect(seen[1]).toEqual({ type: "restarted" });
  await poll("it is connected", async () => {
    const failure = await producer.publish([event("three")]).catch(String);
    return failure === undefined || failure;
  });
  // More than one, where an answer came too late and it was said again.
  await poll("what comes then is heard", () => seen.length >= 3 || String(seen.length));
  expect(seen[2]).toMatchObject({ fields: { type: "three" } });
  stop.abort();
  await following;
});

test("in a cluster, where the contract's names lie in different slots, each step is one of its own", async () => {
  await using node = await openPrivateRedis({ args: ["--cluster-enabled", "yes"] });
  await node.ask("CLUSTER", "ADDSLOTS", ...Array.from({ length: 16_384 }, (_, slot) => String(slot)));
  await poll("the cluster is whole", async () => {
    const info = String(await node.ask("CLUSTER", "INFO"));
    return info.includes("cluster_state:ok") || info;
  });
  await using clustered = openRedisProducer({
    settings: { type: "cluster", nodes: [node.settings.address] },
    times: REDIS_TIMES,
    eventsStream: "events",
    eventsMax: 100,
    commandKeyOf: (id) => `task:${id}:commands`,
    clock: systemClock,
  });
  await clustered.openGroups(["math_requests"], "all_consumers");
  const id = await clustered.enqueue(request, event("TaskInputUploaded"));
  expect(Number(await node.ask("XLEN", "events"))).toBe(1);
  // Nothing may look at both keys, so whoever claims it is asked instead.
  expect(await clustered.withdraw("math_requests", id, event("TaskKilled"))).toBe(false);
  await clustered.command("a", "kill");
  expect(await node.ask("RPOP", "task:a:commands")).toBe("kill");
  const stop = new AbortController();
  for await (const one of clustered.follow(undefined, stop.signal)) {
    expect(one).toMatchObject({ fields: { type: "TaskInputUploaded" } });
    stop.abort();
  }
});

test("the ACL line of docs/jobs.md is enough for everything that the web API does", async () => {
  const page = readFileSync(new URL("../../docs/jobs.md", import.meta.url), "utf8");
  const line = /^ACL SETUSER (.*)$/m.exec(page)?.[1]?.split(" ") ?? [];
  await redis.ask("ACL", "SETUSER", ...line.map((word) => (word.startsWith(">") ? ">secret" : word)));
  await using limited = openRedisProducer({
    settings: { ...redis.settings, username: line[0] ?? "", password: new Secret("secret") },
    times: REDIS_TIMES,
    eventsStream: "events",
    eventsMax: 100,
    commandKeyOf: (id) => `task:${id}:commands`,
    clock: systemClock,
  });
  await limited.openGroups(["math_requests"], "all_consumers");
  await limited.publish([event("TaskCreated")]);
  const id = await limited.enqueue(request, event("TaskInputUploaded"));
  expect(await limited.withdraw("math_requests", id, event("TaskKilled"))).toBe(true);
  await limited.command("a", "kill");
  const stop = new AbortController();
  const [first] = (await redis.ask("XRANGE", "events", "-", "+")) as [string, string[]][];
  for await (const one of limited.follow(first?.[0], stop.signal)) {
    expect(one).toMatchObject({ fields: { type: "TaskInputUploaded" } });
    stop.abort();
  }
  await expect(limited.openGroups(["elsewhere"], "all_consumers")).rejects.toMatchObject({
    code: "QUEUE_UNAVAILABLE",
  });
});
