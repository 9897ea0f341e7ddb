import { afterAll, beforeAll, expect, test } from "vitest";
import { claimOne, completed, STREAM_A, signal } from "../conformance/job-source/world.ts";
import { describeJobSource } from "../conformance/job-source.ts";
import type { PrivateRedis } from "../support/private-redis.ts";
import { openRedisCluster, type RedisCluster } from "../support/redis-cluster.ts";
import { eventsIn, PATIENT, redisHost, redisWorld } from "../support/redis-world.ts";

let cluster: RedisCluster;

beforeAll(async () => {
  cluster = await openRedisCluster();
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

describeJobSource("redis cluster of three", async (leaseMs) => {
  const { settings, ask, flush } = cluster;
  return redisWorld({ settings, ask, close: flush, leaseMs });
});

test("the streams of these tests are in slots of their own, and so are the events", async () => {
  const slots = await Promise.all(
    [STREAM_A, "b_requests", "events"].map(
      async (key) => await cluster.nodes[0]?.ask("CLUSTER", "KEYSLOT", key),
    ),
  );
  expect(new Set(slots).size).toBe(3);
});

async function whileEvicting(node: PrivateRedis | undefined, work: () => Promise<void>): Promise<void> {
  try {
    await node?.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    await work();
  } finally {
    await node?.ask("CONFIG", "SET", "maxmemory-policy", "noeviction");
  }
}

test("one node that may evict keys is enough for nothing to be claimed, until its policy is changed", async () => {
  const { settings, ask, nodes } = cluster;
  await using host = redisHost("h1", { settings, times: PATIENT });
  await ask("XADD", STREAM_A, "*", "id", "j");
  await whileEvicting(nodes[1], async () => {
    await host.untilUp(signal());
    expect(await host.claim(1, 700, signal())).toEqual([]);
    expect(host.state).toMatchObject({
      type: "broken",
      reason: expect.stringContaining("allkeys-lru") as unknown,
    });
  });
  expect(await host.commit(await claimOne(host), completed("j"))).toBe("committed");
  expect(host.state).toEqual({ type: "connected" });
  await cluster.flush();
});

test("a node that has neither a host's streams nor the events may evict what it likes", async () => {
  const { settings, nodes } = cluster;
  const states: string[] = [];
  for (const node of nodes)
    await whileEvicting(node, async () => {
      // Asked again and again, it is the same each time.
      const told = new Set<string>();
      for (let at = 0; at < 4; at += 1) {
        await using host = redisHost("h1", { settings, streams: [STREAM_A], times: PATIENT });
        await host.untilUp(signal());
        await host.claim(1, 50, signal());
        told.add(host.state.type);
      }
      states.push([...told].join());
    });
  // Both lie on the second node.
  expect(states).toEqual(["connected", "broken", "connected"]);
  await cluster.flush();
});

test("events that a host left beside its stream are carried over by the next one, once", async () => {
  const { settings, ask } = cluster;
  await using host = redisHost("h1", { settings, times: PATIENT });
  await ask("XADD", `hearth:{${STREAM_A}}:outbox`, "*", "type", "TaskCompleted", "json", '{"id":"left"}');
  await ask("XADD", STREAM_A, "*", "id", "j");
  await host.untilUp(signal());
  const claim = await claimOne(host);
  expect((await eventsIn(ask)).map(({ json }) => json["id"])).toEqual(["left"]);
  expect(await host.commit(claim, completed("j"))).toBe("committed");
  expect((await eventsIn(ask)).map(({ json }) => json["id"])).toEqual(["left", "j"]);
  expect(await ask("XLEN", `hearth:{${STREAM_A}}:outbox`)).toBe(0);
  await cluster.flush();
});
