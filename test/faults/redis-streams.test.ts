import { expect, test } from "vitest";
import type { JobSource, Log } from "../../src/core/index.ts";
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
import { openPrivateRedis, type PrivateRedis } from "../support/private-redis.ts";
import { eventsIn, GROUP, pendingIn, QUICK, redisHost } from "../support/redis-world.ts";

async function add(redis: PrivateRedis, stream: string, id: string): Promise<string> {
  return String(await redis.ask("XADD", stream, "*", "id", id));
}

test("F8: entries trimmed and deleted under a dead host are counted, each once, and block nobody", async () => {
  const redis = kept(await openPrivateRedis());
  const [dead, alive] = ["dead", "alive"].map((name) => kept(redisHost(name, { settings: redis.settings })));
  for (let at = 0; at < 6; at += 1) await add(redis, STREAM_A, `j${at}`);
  const claims = await dead!.claim(6, 60_000, signal());
  expect(claims).toHaveLength(6);
  await dead![Symbol.asyncDispose]();
  await redis.ask("XDEL", STREAM_A, claims[0]!.entryId, claims[3]!.entryId);
  await redis.ask("XTRIM", STREAM_A, "MAXLEN", "2");
  const got: string[] = [];
  await poll("what is left is taken over", async () => {
    for (const claim of await alive!.claim(6, 300, signal())) {
      got.push(claim.jobId);
      await alive!.commit(claim, completed(claim.jobId));
    }
    return got.length >= 2 || `${got.length}`;
  });
  expect(got.toSorted()).toEqual(["j4", "j5"]);
  await poll("the others are counted", () => alive!.figures.vanished === 4 || `${alive!.figures.vanished}`);
  expect(await pendingIn(redis.ask, STREAM_A)).toBe(0);
});

test("F8: an entry that was deleted under its host is counted no second time by who comes after it", async () => {
  const redis = kept(await openPrivateRedis());
  const [dead, alive] = ["dead", "alive"].map((name) => kept(redisHost(name, { settings: redis.settings })));
  for (const id of ["j0", "j1"]) await add(redis, STREAM_A, id);
  const claims = await dead!.claim(2, 60_000, signal());
  await redis.ask("XDEL", STREAM_A, claims[0]!.entryId);
  await dead!.renew(claims);
  expect(dead!.figures.vanished).toBe(1);
  await dead![Symbol.asyncDispose]();
  expect((await claimOne(alive!)).jobId).toBe(claims[1]!.jobId);
  await poll("nobody holds it any more", async () => {
    await alive!.claim(1, 100, signal());
    return (await pendingIn(redis.ask, STREAM_A)) === 1 || "it is still pending";
  });
  expect(alive!.figures.vanished).toBe(0);
});

test("F8: a group that is deleted is made again, and gives out what nobody holds", async () => {
  const redis = kept(await openPrivateRedis());
  // The first of them lives all the time, also where that is slow.
  const limits = { leaseMs: 60_000 };
  const [one, two] = ["h1", "h2"].map((name) => kept(redisHost(name, { settings: redis.settings, limits })));
  await add(redis, STREAM_A, "done");
  await one!.commit(await claimOne(one!), completed("done"));
  await add(redis, STREAM_A, "held");
  const held = await claimOne(one!);
  await redis.ask("XGROUP", "DESTROY", STREAM_A, GROUP);
  await add(redis, STREAM_A, "new");
  const fresh = await claimOne(two!);
  expect(fresh.jobId).toBe("new");
  expect(await two!.claim(1, LEASE_MS / 2, signal())).toEqual([]);
  expect(await one!.renew([held])).toEqual([]);
  expect(await one!.commit(held, completed("held"))).toBe("committed");
  expect(await two!.commit(fresh, completed("new"))).toBe("committed");
  expect((await eventsIn(redis.ask)).map(({ json }) => json["id"])).toEqual(["done", "held", "new"]);
  expect(await pendingIn(redis.ask, STREAM_A)).toBe(0);
});

test("F8: where done entries stay in their stream, a new group gives none of them out again", async () => {
  const redis = kept(await openPrivateRedis());
  const limits = { trimsDone: false };
  const host = kept(redisHost("h1", { settings: redis.settings, limits }));
  for (let at = 0; at < 120; at += 1) await add(redis, STREAM_A, `j${at}`);
  for (let ended = 0; ended < 120; ) {
    for (const claim of await host.claim(50, 1000, signal())) {
      await host.commit(claim, completed(claim.jobId));
      ended += 1;
    }
  }
  expect(await redis.ask("XLEN", STREAM_A)).toBe(120);
  await redis.ask("XGROUP", "DESTROY", STREAM_A, GROUP);
  await add(redis, STREAM_A, "new");
  expect((await claimOne(host)).jobId).toBe("new");
  expect(await pendingIn(redis.ask, STREAM_A)).toBe(1);
});

test("F8: a consumer that is deleted keeps what it holds", async () => {
  const redis = kept(await openPrivateRedis());
  const [one, two] = ["h1", "h2"].map((name) => kept(redisHost(name, { settings: redis.settings })));
  await add(redis, STREAM_A, "j");
  const claim = await claimOne(one!);
  await redis.ask("XGROUP", "DELCONSUMER", STREAM_A, GROUP, "h1");
  expect(await one!.renew([claim])).toEqual([]);
  expect(await pendingIn(redis.ask, STREAM_A)).toBe(1);
  await one![Symbol.asyncDispose]();
  expect(await claimOne(two!)).toMatchObject({ jobId: "j", attempt: 2, deaths: 1 });
});

test("F8: a key of another type stops that stream with a clear state, and the others go on", async () => {
  const redis = kept(await openPrivateRedis());
  const host = kept(redisHost("h1", { settings: redis.settings }));
  await redis.ask("SET", STREAM_A, "a text");
  await add(redis, STREAM_B, "good");
  expect((await claimOne(host)).jobId).toBe("good");
  expect(host.state).toMatchObject({ type: "broken", stream: STREAM_A });
  expect(JSON.stringify(host.state)).toContain("WRONGTYPE");
  const waiting = host.claim(1, 60_000, signal());
  await add(redis, STREAM_B, "wakes");
  expect((await waiting)[0]?.jobId).toBe("wakes");
  await redis.ask("DEL", STREAM_A);
  await add(redis, STREAM_A, "repaired");
  expect((await claimOne(host)).jobId).toBe("repaired");
  expect(host.state).toEqual({ type: "connected" });
});

test("F8: where there is no other stream, one of another type is told once and tried again now and then", async () => {
  const redis = kept(await openPrivateRedis());
  const said: string[] = [];
  const log = { log: (_level: string, event: string) => void said.push(event) };
  const host = kept(redisHost("h1", { settings: redis.settings, streams: [STREAM_A], log }));
  await host.untilUp(signal());
  await redis.ask("SET", STREAM_A, "a text");
  expect(await host.claim(1, LEASE_MS, signal())).toEqual([]);
  expect(host.state).toMatchObject({ type: "broken", stream: STREAM_A });
  expect(said.filter((event) => /broken|repaired/.test(event))).toEqual(["queue.broken"]);
  await redis.ask("DEL", STREAM_A);
  await add(redis, STREAM_A, "repaired");
  expect((await claimOne(host)).jobId).toBe("repaired");
  expect(host.state).toEqual({ type: "connected" });
});

test("F8: where the events cannot be written nothing is recorded, and it is said when they can be", async () => {
  const redis = kept(await openPrivateRedis());
  const host = kept(redisHost("h1", { settings: redis.settings }));
  await add(redis, STREAM_A, "j");
  const claim = await claimOne(host);
  await redis.ask("SET", "events", "a text");
  const said = host.commit(claim, completed("j"));
  await poll("it is said", () => host.state.type === "broken" || host.state.type);
  expect(host.state).toMatchObject({ type: "broken", stream: "events" });
  expect(await redis.ask("KEYS", "hearth:done:*")).toEqual([]);
  expect(await pendingIn(redis.ask, STREAM_A)).toBe(1);
  await redis.ask("DEL", "events");
  expect(await said).toBe("committed");
  expect(await eventsIn(redis.ask)).toHaveLength(1);
  expect(host.state).toEqual({ type: "connected" });
});

test("a list of commands that is no list is left alone, and other jobs hear theirs", async () => {
  const redis = kept(await openPrivateRedis());
  const host = kept(redisHost("h1", { settings: redis.settings }));
  await host.untilUp(signal());
  await redis.ask("SET", "task:bad:commands", "a text");
  const heard: string[] = [];
  const stop = new AbortController();
  await host.watchCommands("bad", (message) => heard.push(`bad ${message}`), stop.signal);
  await host.watchCommands("good", (message) => heard.push(`good ${message}`), stop.signal);
  await redis.ask("LPUSH", "task:good:events", "kill");
  await redis.ask("LPUSH", "task:bad:events", "kill");
  await poll("both", () => heard.length === 2 || heard.join());
  expect(heard.toSorted()).toEqual(["bad kill", "good kill"]);
  stop.abort();
});

test.each([
  ["beside others", ["task:bad:commands"]],
  ["where there is no other", ["task:bad:commands", "task:bad:events"]],
])("D7: a list of commands that was none is heard once it is one, %s; it is told once", async (_, broken) => {
  const redis = kept(await openPrivateRedis());
  const said: string[] = [];
  const log: Log = { log: (_level, event, facts) => void said.push(`${event} ${String(facts?.["stream"])}`) };
  const host = kept(redisHost("h1", { settings: redis.settings, log }));
  await host.untilUp(signal());
  for (const list of broken) await redis.ask("SET", list, "a text");
  const heard: string[] = [];
  await host.watchCommands("bad", (message) => heard.push(message), signal());
  const times = (event: string): readonly string[] =>
    said.filter((line) => line.startsWith(`${event} `)).toSorted();
  const all = (event: string): readonly string[] => broken.map((list) => `${event} ${list}`);
  await poll("it is told", () => times("queue.broken").length === broken.length || said.join());
  await redis.ask("DEL", ...broken);
  for (const list of broken) await redis.ask("LPUSH", list, "kill");
  await poll("each is heard", () => heard.length === broken.length || `${heard.join()} ${said.join()}`);
  expect(times("queue.broken")).toEqual(all("queue.broken"));
  expect(times("queue.repaired")).toEqual(all("queue.repaired"));
});

test("D7: a look that Redis did not answer is taken again, and hears what was sent before", async () => {
  const redis = kept(await openPrivateRedis({ hasAof: true }));
  const host = kept(redisHost("h1", { settings: redis.settings }));
  await host.untilUp(signal());
  await redis.ask("LPUSH", "task:early:commands", "kill");
  await redis.stop("SIGKILL");
  const heard: string[] = [];
  const looked = host.watchCommands("early", (message) => heard.push(message), signal());
  const idle = new AbortController();
  const never = host.watchCommands("given-up", () => undefined, idle.signal);
  idle.abort();
  await never;
  expect(heard).toEqual([]);
  await redis.start();
  await looked;
  expect(heard).toEqual(["kill"]);
});

test("D20: messages of others that a job did not live to hear go one day", async () => {
  const redis = kept(await openPrivateRedis());
  const host = kept(redisHost("h1", { settings: redis.settings }));
  await host.untilUp(signal());
  const job = new AbortController();
  await host.watchCommands("short", () => job.abort(), job.signal);
  await redis.ask("LPUSH", "task:short:commands", "first", "second");
  await poll("what is left has an end", async () => {
    const left = Number(await redis.ask("TTL", "task:short:commands"));
    return left > 0 || `${left}`;
  });
  expect(await redis.ask("LRANGE", "task:short:commands", "0", "-1")).toEqual(["second"]);
});

test("F6: poison of every kind comes out of the queue, and the good jobs behind it are done", async () => {
  const redis = kept(await openPrivateRedis());
  // What is so large is long on its way.
  const times = { ...QUICK, commandMs: 30_000, blockGraceMs: 30_000 };
  const host = kept(redisHost("h1", { settings: redis.settings, times, limits: { leaseMs: 60_000 } }));
  const big = "x".repeat(16 * 1024 * 1024);
  await redis.ask("XADD", STREAM_A, "*", "id", "big", "field", big);
  await redis.ask("XADD", STREAM_A, "*", "", "");
  await redis.ask("XADD", STREAM_A, "*", "id", "\u0000\n{}", "__proto__", "x", "id", "second");
  await redis.ask("XADD", STREAM_A, "*", ...Array.from({ length: 4000 }, (_, at) => `f${at}`));
  await add(redis, STREAM_A, "good");
  const seen: string[] = [];
  for (let at = 0; at < 5; at += 1) {
    const claim = await claimOne(host);
    seen.push(claim.jobId);
    if (claim.jobId === "good") await host.commit(claim, completed("good"));
    else expect(await host.deadLetter(claim, "poison", [])).toBe("committed");
  }
  expect(seen.at(-1)).toBe("good");
  const letters = await host.deadLetters(10, signal());
  expect(letters).toHaveLength(4);
  expect(letters[0]?.fields["field"]).toHaveLength(big.length);
  expect(letters[3]?.fields["f3998"]).toBe("f3999");
  expect(await host.replay("all", signal())).toBe(4);
  expect((await claimOne(host)).fields["field"]).toHaveLength(big.length);
}, 180_000);

test("F6: an entry that ends its daemon each time is found out by its deaths, on one host alone", async () => {
  const redis = kept(await openPrivateRedis());
  await add(redis, STREAM_A, "poison");
  const deaths: number[] = [];
  for (let life = 0; life < 4; life += 1) {
    const host = redisHost("h1", { settings: redis.settings });
    const claim = await claimOne(host);
    deaths.push(claim.deaths);
    await host[Symbol.asyncDispose]();
  }
  expect(deaths).toEqual([0, 1, 2, 3]);
});

test("F11: a host that starts again and again while much waits takes its own, and what it asked for", async () => {
  const redis = kept(await openPrivateRedis());
  const script = "for i = 1, 10000 do redis.call('XADD', KEYS[1], '*', 'id', 'j' .. i) end";
  await redis.ask("EVAL", script, "1", STREAM_A);
  for (let life = 0; life < 20; life += 1) {
    const host = redisHost("h1", { settings: redis.settings });
    expect((await host.claim(2, 60_000, signal())).map(({ jobId }) => jobId)).toEqual(["j1", "j2"]);
    expect(await pendingIn(redis.ask, STREAM_A)).toBe(2);
    await host[Symbol.asyncDispose]();
  }
  const other = kept(redisHost("h2", { settings: redis.settings }));
  expect((await claimOne(other)).jobId).toBe("j3");
  const host = kept(redisHost("h1", { settings: redis.settings, limits: { leaseMs: 600_000 } }));
  await drain(host, 9_999);
  expect(await pendingIn(redis.ask, STREAM_A)).toBe(1);
  expect(await redis.ask("XLEN", STREAM_A)).toBe(1);
}, 180_000);

test("D1: what the original tracker holds is left to it for a day, and is then taken over", async () => {
  const redis = kept(await openPrivateRedis());
  await redis.ask("XGROUP", "CREATE", STREAM_A, GROUP, "0", "MKSTREAM");
  await add(redis, STREAM_A, "theirs");
  await redis.ask("XREADGROUP", "GROUP", GROUP, "original", "COUNT", "1", "STREAMS", STREAM_A, ">");
  const patient = kept(redisHost("h1", { settings: redis.settings }));
  await patient.untilUp(signal());
  expect(await patient.claim(1, LEASE_MS * 3, signal())).toEqual([]);
  const limits = { strangerMs: LEASE_MS };
  const eager = kept(redisHost("h2", { settings: redis.settings, limits }));
  expect(await claimOne(eager)).toMatchObject({ jobId: "theirs", attempt: 1, deaths: 1 });
});

test("F10: Redis's clock jumps by an hour, and no entry of a living host is taken", async () => {
  const redis = kept(await openPrivateRedis());
  // Half of it, after which the silent are dead, is far more than a look takes; a sixth of it lies between two looks.
  const leaseMs = 15_000;
  const lookMs = leaseMs / 5;
  const limits = { leaseMs };
  const [one, two] = ["h1", "h2"].map((name) => kept(redisHost(name, { settings: redis.settings, limits })));
  await add(redis, STREAM_A, "j");
  const claim = await claimOne(one!);
  for (let round = 0; round < 3; round += 1) {
    // What a jump does to a lease: everything looks an hour old, and what should have lived on is gone.
    await redis.ask("XCLAIM", STREAM_A, GROUP, "h1", "0", claim.entryId, "IDLE", "3600000", "JUSTID");
    await redis.ask("DEL", `hearth:alive:${GROUP}:h1`);
    expect(await two!.claim(1, lookMs, signal())).toEqual([]);
    expect(await one!.renew([claim])).toEqual([]);
    expect(await two!.claim(1, lookMs, signal())).toEqual([]);
  }
  expect(await one!.commit(claim, completed("j"))).toBe("committed");
});

async function drain(host: JobSource, count: number): Promise<void> {
  for (let ended = 0; ended < count; ) {
    const claims = await host.claim(100, 60_000, signal());
    if (claims.length === 0) throw new Error(`nothing more after ${ended}`);
    await Promise.all(claims.map(async (claim) => await host.commit(claim, completed(claim.jobId))));
    ended += claims.length;
  }
}
