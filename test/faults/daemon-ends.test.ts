import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SandboxList } from "../../src/contract/v1/sandboxes.ts";
import type { FaultHost } from "../support/fault-host.ts";
import { openFaultHost } from "../support/fault-host.ts";
import { freshName } from "../support/fresh-name.ts";
import { judgeAtRest, judgeLog, watchBooks } from "../support/judge.ts";
import { poll } from "../support/poll.ts";
import { whyNoEngine } from "../support/private-engine.ts";
import { random } from "../support/random.ts";
import { SLACK } from "../support/slack.ts";

const reason = whyNoEngine();
const SEED = Number(process.env["HEARTH_FAULT_SEED"] ?? 20_261_121);

describe.skipIf(reason !== undefined)(reason ?? "the daemon's own end, on Docker", () => {
  let host: FaultHost;
  let slowStart: string;
  let stubborn: string;

  beforeAll(async () => {
    host = await openFaultHost();
    const serve = `nc -ll -p 8080 -e /handler & server=$!
until nc -w 1 127.0.0.1 8080 </dev/null >/dev/null 2>&1; do sleep 0.01; done; echo meca-init-done`;
    slowStart = await host.image("slowstart", `sleep 600; ${serve}; wait $server`);
    stubborn = await host.image("stubborn", `trap '' TERM; ${serve}; while :; do sleep 1; done`);
  }, 240_000);
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
  });

  test("A1, M29: after kill -9 under load the next life answers at once, meets the same warm container and leaves no orphan", async () => {
    const owner = freshName("fault");
    const stateDir = await mkdtemp(join(tmpdir(), "hs-"));
    try {
      await using first = await host.start({ owner, stateDir });
      const warm = await first.caller.call(host.obeys, "body=warm");
      expect([warm.status, warm.text, warm.start]).toEqual([200, "warm", "cold"]);
      const load = Array.from({ length: 10 }, () => first.caller.call(host.obeys, "sleep 60; body=late"));
      load.push(first.caller.call(slowStart, "body=never"));
      await poll("everything runs", async () => {
        const { sandboxes } = await first.caller.get<SandboxList>("/v1/sandboxes");
        const used = sandboxes.reduce((sum, { slotsUsed }) => sum + slotsUsed, 0);
        const made = (await host.sandboxesOf(owner)).length;
        return (used === 10 && made === 2) || `${used} calls, ${made} containers`;
      });
      const killedAtMs = performance.now();
      expect(await first.daemon.end("SIGKILL")).toBe("SIGKILL");
      for (const { status } of await Promise.all(load)) expect(status).toBe(0);
      expect(performance.now() - killedAtMs).toBeLessThan(1000 * SLACK);

      const startedAtMs = performance.now();
      await using second = await host.start({ owner, stateDir });
      expect(performance.now() - startedAtMs).toBeLessThan(1000 * SLACK);
      const books = watchBooks(second);
      const again = await second.caller.call(host.obeys, "body=again");
      expect([again.status, again.text, again.sandboxId, again.start]).toEqual([
        200,
        "again",
        warm.sandboxId,
        "warm",
      ]);
      await poll("the half-started container is gone", async () => {
        const names = (await host.sandboxesOf(owner)).flatMap(({ Names }) => Names);
        return names.length === 1 || names.join();
      });
      await books.stop();
      await judgeAtRest(second);
      expect(await second.daemon.end("SIGTERM")).toBe(0);
      expect(await host.remainsOf(owner)).toEqual([]);
      expect(await host.bystanderLives()).toBe(true);
    } finally {
      await rm(stateDir, { recursive: true, force: true });
    }
  }, 240_000);

  test("A2: killed again and again in the midst of cold starts, the last life clears up after all of them", async () => {
    const owner = freshName("fault");
    const stateDir = await mkdtemp(join(tmpdir(), "hs-"));
    const dice = random(SEED);
    try {
      for (let life = 0; life < 5; life += 1) {
        await using killed = await host.start({ owner, stateDir });
        const { daemon, caller } = killed;
        const calls = Array.from({ length: 4 }, (_, at) =>
          caller.call(host.obeys, "sleep 1; body=x", { mem: 32 + life + at, cpu: 0.4 }),
        );
        await new Promise((resolve) => setTimeout(resolve, dice.int(800)));
        await daemon.end("SIGKILL");
        for (const { status } of await Promise.all(calls)) expect([0, 200]).toContain(status);
      }
      // An engine goes on with what a daemon asked for that is dead; what it makes later than this life begins, the next one finds.
      let before: string | undefined;
      await poll("the engine is done with what it was asked for", async () => {
        const now = (await host.remainsOf(owner)).join();
        await new Promise((resolve) => setTimeout(resolve, 500));
        const hasChanged = now !== before;
        before = now;
        return !hasChanged || "it changes";
      });
      await using last = await host.start({ owner, stateDir });
      const books = watchBooks(last);
      const fresh = await last.caller.call(host.obeys, "body=fresh", { mem: 64, cpu: 0.4 });
      expect([fresh.status, fresh.text]).toEqual([200, "fresh"]);
      await judgeAtRest(last);
      await books.stop();
      const { sandboxes } = await last.caller.get<SandboxList>("/v1/sandboxes");
      // What lived on is whole: each answers, without a start of its own.
      for (const { resources } of sandboxes) {
        const mem = resources.memoryBytes / 1_048_576;
        const met = await last.caller.call(host.obeys, "body=met", { mem, cpu: 0.4 });
        expect([met.status, met.text, met.start]).toEqual([200, "met", expect.stringMatching(/warm|thawed/)]);
        expect(sandboxes.map(({ id }) => id)).toContain(met.sandboxId);
      }
      expect(await last.daemon.end("SIGTERM")).toBe(0);
      expect(await host.remainsOf(owner)).toEqual([]);
      judgeLog(last.daemon);
    } finally {
      await rm(stateDir, { recursive: true, force: true });
    }
  }, 180_000);

  test("A5, M29: SIGTERM with 20 calls in flight admits no more, lets them finish, and exits 0 with nothing left but what is another daemon's", async () => {
    await using neighbour = await host.start();
    const theirs = await neighbour.caller.call(host.obeys, "body=theirs");
    await using host1 = await host.start();
    const { daemon, caller, owner } = host1;
    await caller.call(host.obeys, "body=warm");
    const inFlight = Array.from({ length: 20 }, (_, at) => caller.call(host.obeys, `sleep 15; body=${at}`));
    await poll("20 calls run", async () => {
      const { sandboxes } = await caller.get<SandboxList>("/v1/sandboxes");
      return sandboxes[0]?.slotsUsed === 20 || `${sandboxes[0]?.slotsUsed}`;
    });
    const ended = daemon.end("SIGTERM");
    await poll("it drains", async () => {
      const health = await caller.send("GET", "/health");
      return (health.status === 503 && health.code === "DRAINING") || String(health.status);
    });
    const refused = await caller.call(host.obeys, "body=no");
    expect([refused.status, refused.code]).toEqual([503, "DRAINING"]);
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
    const answers = await Promise.all(inFlight);
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(answers.map(({ text }) => text)).toEqual(Array.from({ length: 20 }, (_, at) => String(at)));
    expect(await ended).toBe(0);
    const met = await neighbour.caller.call(host.obeys, "body=met");
    expect([met.text, met.sandboxId]).toEqual(["met", theirs.sandboxId]);
    await judgeAtRest(neighbour);
    expect(await host.remainsOf(owner)).toEqual([]);
    judgeLog(daemon);
  }, 240_000);

  test("A6: SIGTERM during a cold start and during a pull aborts both, answers 503 and leaves nothing", async () => {
    // A registry that accepts and never answers: the pull hangs until it is given up.
    const registry = createServer(() => undefined);
    await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
    const { port } = registry.address() as { port: number };
    try {
      await using host1 = await host.start();
      const { daemon, caller, owner } = host1;
      const starting = caller.call(slowStart, "body=never");
      const pulling = caller.call(`127.0.0.1:${port}/hangs:1`, "body=never");
      await poll(
        "a container starts",
        async () => (await host.sandboxesOf(owner)).length === 1 || "none yet",
      );
      const sentAtMs = performance.now();
      const ended = daemon.end("SIGTERM");
      for (const { status, code } of await Promise.all([starting, pulling]))
        expect([status, code]).toEqual([503, "DRAINING"]);
      expect(await ended).toBe(0);
      expect(performance.now() - sentAtMs).toBeLessThan(2000 * SLACK);
      expect(await host.remainsOf(owner)).toEqual([]);
      judgeLog(daemon);
    } finally {
      registry.close();
    }
  }, 240_000);

  test("A7: a second SIGTERM, or the end of the drain's time, ends a task that ignores TERM, and the exit code says so", async () => {
    const [asked, timed] = await Promise.all([
      host.start({ config: "drain_timeout_s: 60" }),
      host.start({ config: "drain_timeout_s: 1" }),
    ]);
    try {
      const calls = [asked, timed].map(async ({ caller }) => {
        const warm = await caller.call(stubborn, "body=warm", { cpu: 0.5 });
        expect(warm.status).toBe(200);
        return await caller.call(stubborn, "sleep 600", { cpu: 0.5 });
      });
      for (const { caller } of [asked, timed]) {
        await poll("the call runs", async () => {
          const { sandboxes } = await caller.get<SandboxList>("/v1/sandboxes");
          return (sandboxes[0]?.slotsUsed === 1 && sandboxes[0].calls === 2) || JSON.stringify(sandboxes);
        });
      }
      const first = asked.daemon.end("SIGTERM");
      const second = timed.daemon.end("SIGTERM");
      await poll("it drains", async () => {
        const health = await asked.caller.send("GET", "/health");
        return health.code === "DRAINING" || String(health.status);
      });
      asked.daemon.child.kill("SIGTERM");
      const sentAtMs = performance.now();
      expect(await Promise.all([first, second])).toEqual([3, 3]);
      expect(performance.now() - sentAtMs).toBeLessThan(5000 * SLACK);
      for (const { status } of await Promise.all(calls)) expect([0, 503]).toContain(status);
      for (const { owner, daemon } of [asked, timed]) {
        expect(await host.remainsOf(owner)).toEqual([]);
        judgeLog(daemon);
      }
    } finally {
      await asked.daemon[Symbol.asyncDispose]();
      await timed.daemon[Symbol.asyncDispose]();
    }
  }, 240_000);

  test("A7: a second SIGTERM takes the grace from a task that is being ended already", async () => {
    await using hosted = await host.start({ config: "tasks: {stop_grace_s: 600, refresh_images: false}" });
    const { caller, daemon, owner } = hosted;
    expect((await caller.call(stubborn, "body=warm", { cpu: 0.5 })).status).toBe(200);
    const list = async (): Promise<SandboxList["sandboxes"]> =>
      (await caller.get<SandboxList>("/v1/sandboxes")).sandboxes;
    const evicted = caller.send("DELETE", `/v1/sandboxes/${(await list())[0]?.id}`);
    await poll("it is asked to end", async () => {
      const [sandbox] = await list();
      return sandbox?.tier === "stopping" || JSON.stringify(sandbox);
    });
    const ended = daemon.end("SIGTERM");
    await poll("it drains", async () => {
      const health = await caller.send("GET", "/health");
      return health.code === "DRAINING" || String(health.status);
    });
    daemon.child.kill("SIGTERM");
    expect(await ended).toBe(3);
    expect([0, 200, 204]).toContain((await evicted).status);
    expect(await host.remainsOf(owner)).toEqual([]);
    judgeLog(daemon);
  }, 240_000);

  test("A11: with 128 files to open and 500 idle connections the engine is still reached and cold calls work", async () => {
    await using limited = await host.start({ under: ["prlimit", "--nofile=128:128"] });
    const port = Number(new URL(limited.daemon.baseUrl).port);
    const sockets = Array.from({ length: 500 }, () => {
      const socket = connect({ host: "127.0.0.1", port });
      socket.on("error", () => undefined); // turned away
      return socket;
    });
    await poll("the surplus is turned away", () => {
      const closed = sockets.filter((socket) => socket.closed || socket.readyState === "closed").length;
      return closed >= 300 || `${closed} closed`;
    });
    const sizes = Array.from({ length: 6 }, (_, at) => ({ mem: 32 + at }));
    const answers = await Promise.all(
      sizes.map((size) => limited.caller.call(host.obeys, "body=cold", size)),
    );
    expect(answers.map(({ status, text }) => [status, text])).toEqual(Array(6).fill([200, "cold"]));
    for (const socket of sockets) socket.destroy();
    await judgeAtRest(limited);
  }, 240_000);

  test("A13: a second daemon of one owner, a taken port and a wrong configuration each stop the start with a clear line and touch nothing", async () => {
    await using first = await host.start();
    const { caller, owner, daemon } = first;
    const warm = await caller.call(host.obeys, "body=warm");
    const port = Number(new URL(daemon.baseUrl).port);
    const attempts: readonly (readonly [object, RegExp])[] = [
      [{ stateDir: daemon.stateDir, owner: freshName("other") }, /another daemon uses this state directory/],
      [{ owner }, /another daemon/],
      [{ port }, new RegExp(`address to listen on is taken.*${port}`)],
      [{ config: "tasks: {slots: many}" }, /tasks\.slots/],
    ];
    for (const [options, line] of attempts) {
      const startedAtMs = performance.now();
      const second = await host.start({ ...options, waits: false });
      const status = await second.daemon.ended;
      expect(performance.now() - startedAtMs).toBeLessThan(2000 * SLACK);
      expect([status === 0, second.daemon.log()]).toEqual([false, expect.stringMatching(line)]);
      if (second.owner !== owner) expect(await host.remainsOf(second.owner)).toEqual([]);
      await second.daemon[Symbol.asyncDispose]();
    }
    const again = await caller.call(host.obeys, "body=again");
    expect([again.status, again.sandboxId]).toEqual([200, warm.sandboxId]);
    await judgeAtRest(first);
  }, 240_000);
});
