import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TaskReply } from "../support/legacy-call.ts";
import { call } from "../support/legacy-call.ts";
import type { HostedDaemon, TestHost } from "../support/open-test-host.ts";
import { openTestHost } from "../support/open-test-host.ts";
import { poll } from "../support/poll.ts";
import { whyNoEngine } from "../support/private-engine.ts";
import { watchLimits } from "../support/watch-limits.ts";

const reason = whyNoEngine();
const MEGABYTE = 1_048_576;

describe.skipIf(reason !== undefined)(`room${reason === undefined ? "" : ` (${reason})`}`, () => {
  let host: TestHost;
  /** The same task under five names: five images, so five warm servers of one size. */
  const tasks: string[] = [];

  beforeAll(async () => {
    host = await openTestHost();
    for (const name of ["a", "b", "c", "d", "e"]) tasks.push(await host.taskCalled(name));
  }, 180_000);
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
  });

  const [A, B, C, D, E] = [0, 1, 2, 3, 4];
  const ask = (
    daemon: HostedDaemon,
    which: number,
    cpu: number,
    mem: number,
    input = "x",
  ): Promise<TaskReply> => call(daemon, tasks[which] ?? "", input, { resource: { cpu, mem } });

  /** The state of each task's containers at the engine, by the task's letter. */
  async function states(daemon: HostedDaemon): Promise<Record<string, string>> {
    const all = await host.containers(daemon);
    return Object.fromEntries(all.map(({ name, state }) => [name.split("_")[1] ?? "", state]));
  }

  /** Fills the daemon with idle servers, the first letter idle for longest. */
  async function fill(daemon: HostedDaemon, cpu: number, mem: number): Promise<readonly TaskReply[]> {
    const replies = [];
    for (const which of [A, B, C]) replies.push(await ask(daemon, which, cpu, mem));
    expect(replies.map(({ success }) => success)).toEqual([true, true, true]);
    return replies;
  }

  test("M9: ten sizes at once all answer, and at no sampled instant do their limits exceed what is configured", async () => {
    const [cpu, mem] = [1, 400];
    await using daemon = await host.start({ config: `cpu: ${cpu}\nmem: ${mem}\n` });
    const sampler = watchLimits(host, daemon);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, at) => ask(daemon, A, (at + 1) / 10, 20 * (at + 1), "sleep 0.2")),
    );
    const again = await Promise.all(
      Array.from({ length: 10 }, (_, at) => ask(daemon, A, (at + 1) / 10, 20 * (at + 1), "again")),
    );
    const samples = await sampler.end();
    expect([...answers, ...again].map(({ success, msg }) => (success ? "" : msg))).toEqual(
      Array(20).fill(""),
    );
    expect(samples.length).toBeGreaterThan(10);
    // Otherwise the sampler saw nothing, and proves nothing.
    expect(Math.max(...samples.map(({ containers }) => containers.length))).toBeGreaterThan(1);
    expect(Math.max(...samples.map(({ cpuMillis }) => cpuMillis))).toBeGreaterThan(0);
    for (const { containers, cpuMillis, memoryBytes } of samples) {
      expect(cpuMillis, containers.join(", ")).toBeLessThanOrEqual(cpu * 1000);
      expect(memoryBytes, containers.join(", ")).toBeLessThanOrEqual(mem * MEGABYTE);
    }
  }, 180_000);

  test("M9: a request above the limit is refused at once and starts nothing", async () => {
    await using daemon = await host.start({ config: "cpu: 1\nmem: 400\n" });
    const blocker = ask(daemon, A, 1, 400, "hold");
    await poll("the host is full", async () => (await states(daemon))["a"] === "running" || "no");
    for (const [cpu, mem, field] of [
      [1.1, 20, "cpu"],
      [0.1, 401, "mem"],
    ] as const) {
      const answer = await ask(daemon, B, cpu, mem);
      expect(answer).toMatchObject({
        status: 200,
        success: false,
        msg: expect.stringContaining(field) as unknown,
      });
      expect(answer.headers.get("hearth-error")).toBe("RESOURCES_EXCEED_LIMIT");
    }
    // It did not wait for room: the host is still as full as it was.
    expect(await states(daemon)).toEqual({ a: "running" });
    await ask(daemon, A, 1, 400, "release");
    expect((await blocker).success).toBe(true);
  });

  test("M12: a task that needs memory makes exactly enough idle servers vanish, the longest idle first", async () => {
    await using daemon = await host.start({ config: "cpu: 2\nmem: 320\n" });
    await fill(daemon, 0.1, 100);
    expect(await ask(daemon, D, 0.1, 100)).toMatchObject({ success: true });
    expect(await states(daemon)).toEqual({ b: "running", c: "running", d: "running" });
    expect(await ask(daemon, E, 0.1, 150)).toMatchObject({ success: true });
    expect(await states(daemon)).toEqual({ d: "running", e: "running" });
  });

  test("M12: a task that needs CPU only freezes just enough idle ones, and a frozen one answers its next call", async () => {
    await using daemon = await host.start({ config: "cpu: 1\nmem: 1000\n" });
    const [first] = await fill(daemon, 0.3, 32);
    expect(await ask(daemon, D, 0.3, 32)).toMatchObject({ success: true });
    expect(await states(daemon)).toEqual({ a: "paused", b: "running", c: "running", d: "running" });
    expect(await ask(daemon, A, 0.3, 32, "awake")).toMatchObject({
      success: true,
      msg: "awake",
      start: "thawed",
      sandboxId: first?.sandboxId,
    });
    expect(await states(daemon)).toEqual({ a: "running", b: "paused", c: "running", d: "running" });
  });

  test("M12: a busy server is neither frozen nor removed: it answers and is warm afterwards", async () => {
    await using daemon = await host.start({ config: "cpu: 1\nmem: 320\n" });
    const [, second] = await fill(daemon, 0.3, 100);
    const busy = ask(daemon, B, 0.3, 100, "hold");
    await poll("B works", async () => (await slotsUsed(daemon)) === 1 || "not yet");
    // Both need all that B does not hold.
    expect(await ask(daemon, D, 0.7, 20)).toMatchObject({ success: true });
    expect(await ask(daemon, E, 0.1, 220)).toMatchObject({ success: true });
    expect(await slotsUsed(daemon)).toBe(1);
    expect(await states(daemon)).toEqual({ b: "running", e: "running" });
    expect(await ask(daemon, B, 0.3, 100, "release")).toMatchObject({
      success: true,
      start: "warm",
      sandboxId: second?.sandboxId,
    });
    expect(await busy).toMatchObject({ success: true, msg: "hold", sandboxId: second?.sandboxId });
    expect(await ask(daemon, B, 0.3, 100)).toMatchObject({ start: "warm", sandboxId: second?.sandboxId });
  });

  test("M12: a big task is not starved by a stream of small ones, which goes on afterwards", async () => {
    await using daemon = await host.start({ config: "cpu: 1\nmem: 1000\ntasks:\n  pass_over_s: 1\n" });
    let isOver = false;
    let answered = 0;
    const failures: string[] = [];
    await using _end = {
      [Symbol.asyncDispose]: () => ((isOver = true), Promise.all(streams).then(() => undefined)),
    };
    const stream = async (which: number): Promise<void> => {
      while (!isOver) {
        const { success, msg } = await ask(daemon, which, 0.3, 32, "sleep 0.3");
        if (success) answered += 1;
        else failures.push(msg);
      }
    };
    // Two callers each, half a call apart, so that no server is ever idle by itself.
    const streams = [A, B, C].flatMap((which) => [stream(which), stream(which)]);
    await poll("the stream runs", () => answered >= 6 || String(answered));
    const big = await ask(daemon, D, 1, 64, "big");
    expect(big).toMatchObject({ success: true, msg: "big" });
    const before = answered;
    await poll("the stream goes on", () => answered >= before + 6 || String(answered - before));
    isOver = true;
    await Promise.all(streams);
    expect(failures).toEqual([]);
  }, 180_000);

  async function slotsUsed(daemon: HostedDaemon): Promise<number> {
    const answer = await fetch(`${daemon.baseUrl}/v1/sandboxes`);
    const { sandboxes } = (await answer.json()) as { sandboxes: { slotsUsed: number }[] };
    return sandboxes.reduce((sum, { slotsUsed: used }) => sum + used, 0);
  }
});
