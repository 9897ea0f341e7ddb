import { expect, test } from "vitest";
import { claimOne, STREAM_A, signal } from "../conformance/job-source/world.ts";
import { kept } from "../support/kept.ts";
import { poll } from "../support/poll.ts";
import { openPrivateRedis, type PrivateRedis } from "../support/private-redis.ts";
import { PATIENT, redisHost } from "../support/redis-world.ts";

/** Nothing that goes by time happens while a test lasts: only being told can end a wait. */
const NO_CLOCK = { pollMs: 600_000, leaseMs: 600_000 };
const WAIT_MS = 500_000;

async function untilWaiting(redis: PrivateRedis, count: number): Promise<void> {
  await poll(`${count} wait for entries`, async () => {
    const clients = String(await redis.ask("CLIENT", "LIST")).split("\n");
    const waiting = clients.filter((line) => / flags=\S*b/.test(line) && line.includes("cmd=xread"));
    return waiting.length === count || String(waiting.length);
  });
}

test.each(["by itself", "elsewhere"] as const)(
  "I13: what is handed back (%s) wakes the hosts that wait, and none of them looks at a clock",
  async (how) => {
    const redis = kept(await openPrivateRedis());
    const [one, two] = ["h1", "h2"].map((name) =>
      kept(redisHost(name, { settings: redis.settings, times: PATIENT, limits: NO_CLOCK })),
    );
    for (let at = 0; at < 10; at += 1) await redis.ask("XADD", STREAM_A, "*", "id", `j${at}`);
    const claims = [...(await one!.claim(10, 60_000, signal()))];
    expect(claims).toHaveLength(10);
    const got: string[] = [];
    while (got.length < 10) {
      const next = two!.claim(10, WAIT_MS, signal());
      // All that was handed back is there by now, or nothing is and it waits.
      await untilWaiting(redis, 1);
      const back = claims.splice(0, 5);
      await one!.release(back, "its host stops", how === "elsewhere" ? how : undefined);
      got.push(...(await next).map(({ jobId }) => jobId));
    }
    expect(got.toSorted()).toEqual(Array.from({ length: 10 }, (_, at) => `j${at}`));
    expect(await redis.ask("XLEN", "hearth:handed-back")).toBe(1);
  },
);

test("I13: what one host after the other cannot run goes on to the last one that waits", async () => {
  const redis = kept(await openPrivateRedis());
  const hosts = ["h1", "h2", "h3"].map((name) =>
    kept(redisHost(name, { settings: redis.settings, times: PATIENT, limits: NO_CLOCK })),
  );
  await redis.ask("XADD", STREAM_A, "*", "id", "ball");
  let holder = hosts[0]!;
  let claim = await claimOne(holder);
  for (let round = 0; round < 2; round += 1) {
    const others = hosts.filter((host) => host !== holder);
    const over = new AbortController();
    const taken = Promise.race(
      others.map(async (host) => ({ host, claims: await host.claim(1, WAIT_MS, over.signal) })),
    );
    await untilWaiting(redis, 2);
    await holder.release([claim], "its host stops", "elsewhere");
    const winner = await taken;
    over.abort();
    expect(winner.claims).toMatchObject([{ jobId: "ball", attempt: round + 2 }]);
    [holder, claim] = [winner.host, winner.claims[0]!];
  }
});
