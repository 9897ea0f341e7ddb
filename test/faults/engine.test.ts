import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SandboxList } from "../../src/contract/v1/sandboxes.ts";
import type { Answer } from "../support/caller.ts";
import type { FaultDaemon, FaultHost } from "../support/fault-host.ts";
import { openFaultHost } from "../support/fault-host.ts";
import type { FaultProxy } from "../support/fault-proxy.ts";
import { openFaultProxy } from "../support/fault-proxy.ts";
import { freshName } from "../support/fresh-name.ts";
import { importImage, taskFiles } from "../support/images.ts";
import { judgeAtRest, watchBooks } from "../support/judge.ts";
import { poll } from "../support/poll.ts";
import { whyNoEngine } from "../support/private-engine.ts";
import { random } from "../support/random.ts";
import { SLACK } from "../support/slack.ts";

const reason = whyNoEngine();
const SEED = Number(process.env["HEARTH_FAULT_SEED"] ?? 20_261_121);

describe.skipIf(reason !== undefined)(reason ?? "an engine behind a faulty wire", () => {
  let host: FaultHost;
  let proxy: FaultProxy;
  let daemon: FaultDaemon;
  let books: ReturnType<typeof watchBooks>;

  beforeAll(async () => {
    host = await openFaultHost();
    const dice = random(SEED);
    proxy = await openFaultProxy(host.engine.socketPath, () => dice.int(1_000_000) / 1_000_000);
    daemon = await host.start({
      socketPath: proxy.socketPath,
      config: "tasks: {stop_grace_s: 1, refresh_images: false, start_timeout_s: 20}",
    });
    books = watchBooks(daemon);
  }, 240_000);
  afterAll(async () => {
    // Whatever is judged, all of it ends.
    await using _host = host;
    await using _proxy = proxy;
    await using _daemon = daemon;
    await books.stop();
    await host.judgeNetworks(daemon);
    expect(await daemon.daemon.end("SIGTERM")).toBe(0);
    expect(await host.remainsOf(daemon.owner)).toEqual([]);
  }, 180_000);

  const call = async (text = "x"): Promise<Answer> => await daemon.caller.call(host.obeys, `body=${text}`);
  /** Heals, and gives everything back. */
  const clear = async (): Promise<void> => {
    proxy.heal();
    await daemon.caller.post("/pause");
    await daemon.caller.post("/unpause");
    await poll(
      "all sandboxes are gone",
      async () => {
        const real = await daemon.realSandboxes();
        return real.length === 0 || real.join();
      },
      60_000,
    );
    await judgeAtRest(daemon);
  };

  test("C4: each verb in turn stumbles, or does its work and loses its answer: what can be asked again is, what fails is told as the host's fault, and nothing is left behind", async () => {
    const faults = {
      stumble: { type: "status", status: 500 },
      refuse: { type: "status", status: 503 },
      lose: { type: "dropReply" },
      late: { type: "delay", ms: 500 },
    } as const;
    const fine = ["200 "];
    const failed = ["503 ENGINE_FAILED"];
    // What a single fault of a verb means for a cold call. A start that the engine calls its own failure is most often the
    // image's; a network may have been made ahead.
    const table: Readonly<Record<string, Readonly<Record<keyof typeof faults, readonly string[]>>>> = {
      "image inspect": { stumble: fine, refuse: fine, lose: fine, late: fine },
      "network create": {
        stumble: [...fine, ...failed],
        refuse: [...fine, ...failed],
        lose: fine,
        late: fine,
      },
      create: { stumble: failed, refuse: failed, lose: fine, late: fine },
      start: { stumble: ["502 SANDBOX_START_FAILED"], refuse: failed, lose: fine, late: fine },
      logs: { stumble: fine, refuse: fine, lose: fine, late: fine },
    };
    // A wire of its own, and no network sandboxes made ahead: so each fault meets the task and not what is made for a later one.
    await using wire = await openFaultProxy(host.engine.socketPath);
    await using alone = await host.start({ socketPath: wire.socketPath, networksAhead: 0 });
    const asked = (): Promise<Answer> => alone.caller.call(host.obeys, "body=x");
    for (const [verb, row] of Object.entries(table)) {
      for (const [name, fault] of Object.entries(faults)) {
        wire.add({ verb, fault, times: 1 });
        const { status, code } = await asked();
        expect(row[name as keyof typeof faults], `${verb}, ${name}`).toContain(`${status} ${code}`);
        wire.heal();
        await alone.caller.post("/pause");
        await alone.caller.post("/unpause");
        await judgeAtRest(alone);
      }
    }
    expect((await asked()).status).toBe(200);
    expect(await alone.daemon.end("SIGTERM")).toBe(0);
    expect(await host.remainsOf(alone.owner)).toEqual([]);
  }, 300_000);

  test("C4: a create whose answer is lost is asked for again; where nothing can be learnt of it, a daemon that stops at once leaves nothing behind", async () => {
    await using wire = await openFaultProxy(host.engine.socketPath);
    // Nothing made ahead, so that each fault meets the task.
    await using alone = await host.start({ socketPath: wire.socketPath, networksAhead: 0 });
    const lose = { type: "dropReply" } as const;
    const said = async (image: string): Promise<string> => {
      const { status, code } = await alone.caller.call(image, "body=x");
      return `${status} ${code}`.trim();
    };
    const creates = async (work: () => Promise<void>): Promise<number> => {
      const before = wire.count("create");
      await work();
      return wire.count("create") - before;
    };
    for (const name of ["one", "two"])
      await importImage(host.docker, `lost/${name}:1`, await taskFiles({ main: "exec sleep 1" }), []);
    // Test sandboxes are made before the first task.
    expect(await said(host.obeys)).toBe("200");
    expect(
      await creates(async () => {
        wire.add({ verb: "create", fault: lose, times: 1 });
        expect(await said("lost/one:1")).toBe("502 IMAGE_UNUSABLE");
      }),
    ).toBe(2);
    // It has been made, and no look shows it.
    expect(
      await creates(async () => {
        wire.add({ verb: "create", fault: lose, times: 1 });
        wire.add({ verb: "inspect", fault: { type: "status", status: 500 }, times: 3 });
        const { status, code } = await alone.caller.call(host.obeys, "body=x", { mem: 64 });
        expect(`${status} ${code}`).toBe("503 ENGINE_UNAVAILABLE");
      }),
    ).toBe(1);
    expect(wire.struck).toBe(5);
    await poll("what was made is gone", async () => {
      const real = await alone.realSandboxes();
      return real.length === 1 || real.join();
    });
    wire.add({ verb: "create", fault: lose, times: 2 });
    expect(await said("lost/two:1")).toBe("503 ENGINE_UNAVAILABLE");
    expect(wire.struck).toBe(7);
    expect(await alone.daemon.end("SIGTERM")).toBe(0);
    expect(await host.remainsOf(alone.owner)).toEqual([]);
  }, 180_000);

  test("C4, C13: removals that fail three times are tried again; until the container is truly gone its reservation stays", async () => {
    for (const fault of [
      { type: "status", status: 409, message: "removal of container is already in progress" },
      { type: "status", status: 500 },
      { type: "dropReply" },
    ] as const) {
      expect((await call("warm")).text).toBe("warm");
      proxy.add({ verb: "remove", fault, times: 3 });
      await daemon.caller.post("/pause");
      // Between two looks at the engine nothing may be booked for less than what is there.
      await poll("the container is gone", async () => {
        const real = await daemon.realSandboxes();
        const { sandboxes } = await daemon.caller.get<SandboxList>("/v1/sandboxes");
        const isBooked = real.every((id) =>
          sandboxes.some((one) => one.id === id && one.reserved.memoryBytes > 0),
        );
        // The engine's list is the older of the two: it may name what has gone since.
        if (!isBooked && (await daemon.realSandboxes()).length > 0)
          throw new Error("a container without a reservation");
        return real.length === 0 || real.join();
      });
      // Removals whose answers are lost have been made all the same, and are asked for again.
      await poll("all three have struck", () => proxy.struck === 3 || `${proxy.struck}`);
      await clear();
    }
  }, 180_000);

  test("C4: with one in twenty of all verbs failing at random every call ends, and what was left behind is cleared when the engine is well", async () => {
    for (const fault of [
      { type: "status", status: 500 },
      { type: "dropReply" },
      { type: "delay", ms: 300 },
    ] as const)
      proxy.add({ verb: "*", fault, chance: 0.017 });
    const answers: Answer[] = [];
    for (let round = 0; round < 6; round += 1) {
      const sizes = Array.from({ length: 5 }, (_, at) => ({ mem: 32 + at + round * 5 }));
      answers.push(
        ...(await Promise.all(sizes.map((size) => daemon.caller.call(host.obeys, "body=x", size)))),
      );
      await daemon.caller.post("/pause");
      await daemon.caller.post("/unpause");
    }
    const codes = answers.map(({ status, code }) => `${status} ${code}`.trim());
    expect(codes.filter((code) => !/^(200|503 ENGINE_\w+|502 SANDBOX_START_FAILED)$/.test(code))).toEqual([]);
    expect(codes.filter((code) => code === "200").length).toBeGreaterThan(15);
    expect(proxy.struck).toBeGreaterThan(0);
    await clear();
  }, 240_000);

  test("C4: streams that break off are opened again, and a death meanwhile is noticed all the same", async () => {
    const warm = await call("warm");
    proxy.add({ verb: "events", fault: { type: "status", status: 500 }, times: 2 });
    proxy.cutAll();
    await host.docker.getContainer(await labelOf(warm)).kill();
    await poll("the death is noticed", async () => {
      const { sandboxes } = await daemon.caller.get<SandboxList>("/v1/sandboxes");
      return !sandboxes.some(({ id }) => id === warm.sandboxId) || "still listed";
    });
    expect((await call("again")).text).toBe("again");
    await clear();
  });

  test("C7: what a stranger removes, kills or renames is noticed, told, replaced and given back; the bystander is never touched", async () => {
    const idle = await call("idle");
    await host.docker.getContainer(await labelOf(idle)).remove({ force: true });
    const next = await call("next");
    expect([next.status, next.text]).toEqual([200, "next"]);
    expect(next.sandboxId).not.toBe(idle.sandboxId);
    for (const act of ["remove", "kill"] as const) {
      const { sandboxId } = await call("warm");
      const running = daemon.caller.call(host.obeys, "sleep 60; body=never");
      await poll("the call runs", async () => {
        const { sandboxes } = await daemon.caller.get<SandboxList>("/v1/sandboxes");
        return sandboxes.some(({ slotsUsed }) => slotsUsed === 1) || "not yet";
      });
      const container = host.docker.getContainer(await labelOf({ sandboxId }));
      await (act === "remove" ? container.remove({ force: true }) : container.kill());
      const { status, code, problem, ms } = await running;
      if (act === "remove") expect([status, code]).toEqual([503, "SANDBOX_LOST"]);
      else expect([status, code, problem?.facts["signal"]]).toEqual([502, "TASK_EXITED", "SIGKILL"]);
      expect(ms).toBeLessThan(1000 * SLACK + 5000);
    }
    const renamed = await call("warm");
    await host.docker.getContainer(await labelOf(renamed)).rename({ name: "somebody-elses-name" });
    const met = await call("met");
    expect([met.text, met.sandboxId]).toEqual(["met", renamed.sandboxId]);
    await clear();
    expect(await host.bystanderLives()).toBe(true);
  }, 180_000);

  test("C3: while the engine stands still warm calls go on, others fail in time and do not pile up, health is red; then all resumes alone", async () => {
    const warm = await call("warm");
    await host.engine.standStill();
    let cold: Promise<Answer[]> = Promise.resolve([]);
    try {
      cold = Promise.all(
        Array.from({ length: 20 }, (_, at) => daemon.caller.call(host.obeys, "body=x", { mem: 40 + at })),
      );
      const met = await call("met");
      expect([met.text, met.sandboxId]).toEqual(["met", warm.sandboxId]);
      await poll("health is red", async () => {
        const { status, code } = await daemon.caller.send("GET", "/health");
        return (status === 503 && code === "ENGINE_UNAVAILABLE") || String(status);
      });
      const answers = await cold;
      for (const { status, code, ms } of answers) {
        expect([status, code]).toEqual([503, "ENGINE_UNAVAILABLE"]);
        expect(ms).toBeLessThan(10_000 + 2000 * SLACK);
      }
      // The breaker is open now: no call waits for its deadline any more.
      const quick = await daemon.caller.call(host.obeys, "body=x", { mem: 99 });
      expect([quick.status, quick.code]).toEqual([503, "ENGINE_UNAVAILABLE"]);
      expect(quick.ms).toBeLessThan(2000 + 1000 * SLACK);
      expect((await call("met")).sandboxId).toBe(warm.sandboxId);
    } finally {
      host.engine.goOn();
      await cold;
    }
    const healedAtMs = performance.now();
    await poll("a cold call works again", async () => {
      const { status, code } = await daemon.caller.call(host.obeys, "body=x", { mem: 99 });
      return status === 200 || code;
    });
    expect(performance.now() - healedAtMs).toBeLessThan(5000 * SLACK);
    await poll("health is green", async () => {
      const { status } = await daemon.caller.send("GET", "/health");
      return status === 200 || String(status);
    });
    await clear();
  }, 180_000);

  test("C3: a daemon that stops while the engine stands still ends all the same, and its next life clears what it had to leave", async () => {
    const owner = freshName("still");
    await using first = await host.start({ owner });
    // On the way to its rest the count passes through these numbers too: the same names are there at two looks.
    const holds = async (count: number, without: readonly string[] = []): Promise<void> => {
      let before = "";
      await poll("nothing is being made", async () => {
        const all = (await host.remainsOf(owner)).toSorted();
        const isSame = all.join() === before;
        before = all.join();
        if (isSame && all.length === count && !all.some((name) => without.includes(name))) return true;
        await new Promise((resolve) => setTimeout(resolve, 500));
        return before;
      });
    };
    // One network sandbox of two pieces and four bare networks ahead; then a task in one and its successor.
    await holds(6);
    expect((await first.caller.call(host.obeys, "body=x")).status).toBe(200);
    await holds(9);
    const made = await host.remainsOf(owner);
    await host.engine.standStill();
    let status: number | string;
    try {
      const hung = setTimeout(() => first.daemon.child.kill("SIGKILL"), 90_000);
      status = await first.daemon.end("SIGTERM");
      clearTimeout(hung);
    } finally {
      host.engine.goOn();
    }
    expect(status).not.toBe("SIGKILL");
    await using second = await host.start({ owner });
    expect((await second.caller.call(host.obeys, "body=x")).status).toBe(200);
    // What was left is gone, and what it makes ahead is there.
    await holds(9, made);
    expect(await second.daemon.end("SIGTERM")).toBe(0);
    await poll("nothing is left", async () => {
      const all = await host.remainsOf(owner);
      return all.length === 0 || all.join();
    });
  }, 240_000);

  async function labelOf({ sandboxId }: Pick<Answer, "sandboxId">): Promise<string> {
    const { sandboxes } = await daemon.caller.get<SandboxList>("/v1/sandboxes");
    return sandboxes.find(({ id }) => id === sandboxId)?.label ?? "";
  }
});

describe.skipIf(reason !== undefined)(reason ?? "an engine that restarts", () => {
  test.each([
    [false, "its sandboxes are lost: running calls fail as the host's fault, and new ones start anew"],
    [true, "its sandboxes live on, and so do the calls that run in them"],
  ])(
    "C1: TERM and start, live-restore %s: %s",
    async (liveRestore) => {
      await using host = await openFaultHost({ liveRestore });
      const daemon = await host.start();
      await using _ = daemon;
      const { caller } = daemon;
      const warm = await caller.call(host.obeys, "body=warm");
      expect(warm.text).toBe("warm");
      const books = watchBooks(daemon);
      // One that is lost with its sandbox must not be over before.
      const running = caller.call(host.obeys, `sleep ${liveRestore ? 8 : 60}; body=done`);
      await poll("the call runs", async () => {
        const { sandboxes } = await caller.get<SandboxList>("/v1/sandboxes");
        return sandboxes.some(({ slotsUsed }) => slotsUsed === 1) || "not yet";
      });
      await host.engine.stop();
      const away = await caller.call(host.obeys, "body=x", { mem: 40 });
      expect([away.status, away.code]).toEqual([503, "ENGINE_UNAVAILABLE"]);
      await host.engine.start();
      const healedAtMs = performance.now();
      await poll("a cold call works again", async () => {
        const { status, code } = await caller.call(host.obeys, "body=x", { mem: 40 });
        return status === 200 || code;
      });
      expect(performance.now() - healedAtMs).toBeLessThan(5000 * SLACK);
      const answer = await running;
      if (liveRestore) expect([answer.status, answer.text]).toEqual([200, "done"]);
      else expect([answer.status, answer.code]).toEqual([503, "SANDBOX_LOST"]);
      const again = await caller.call(host.obeys, "body=again");
      expect([again.text, again.sandboxId === warm.sandboxId]).toEqual(["again", liveRestore]);
      await books.stop();
      await judgeAtRest(daemon);
      expect(await daemon.daemon.end("SIGTERM")).toBe(0);
      expect(await host.remainsOf(daemon.owner)).toEqual([]);
    },
    300_000,
  );
});
