import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TaskReply } from "../support/legacy-call.ts";
import { ask, call, sandboxes, stats } from "../support/legacy-call.ts";
import type { HostedDaemon, TestHost } from "../support/open-test-host.ts";
import { openTestHost } from "../support/open-test-host.ts";
import { poll } from "../support/poll.ts";
import { whyNoEngine } from "../support/private-engine.ts";

const reason = whyNoEngine();
const WISH = { resource: { cpu: 0.5, mem: 64 } };
/** A body like the documented one; the desktop app sends `type` as well. */
const DOCUMENTED = {
  type: "docker",
  timeout: 2,
  cpu: 1,
  mem: 200,
  has_gpu: false,
  microVM_runtime: "kata",
};

describe.skipIf(reason !== undefined)(`control${reason === undefined ? "" : ` (${reason})`}`, () => {
  let host: TestHost;

  beforeAll(async () => {
    host = await openTestHost();
  }, 180_000);
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
  });

  /** A call that runs until {@link release}. */
  async function hold(daemon: HostedDaemon): Promise<Promise<TaskReply>[]> {
    const held = call(daemon, host.task, "hold", WISH);
    // A test that fails before it awaits the call is told of its own failure only.
    held.catch(() => undefined);
    await poll("the call runs", async () => {
      const all = await sandboxes(daemon);
      return all.some(({ slotsUsed }) => slotsUsed === 1) || "not yet";
    });
    return [held];
  }

  async function release(daemon: HostedDaemon): Promise<void> {
    const holding = (await host.containers(daemon)).filter(({ name }) => name.includes("_obey_"));
    for (const { id } of holding) await host.exec(id, "sh", "-c", ": > /tmp/released");
  }

  async function setting(daemon: HostedDaemon, key: string): Promise<unknown> {
    const { json } = await ask(daemon, "/v1/config");
    const { settings } = json as { settings: { key: string; value: unknown }[] };
    return settings.find((one) => one.key === key)?.value;
  }

  const gone = (daemon: HostedDaemon): Promise<void> =>
    poll("no task container is left", async () => {
      const left = await host.containers(daemon);
      return left.length === 0 || left.map(({ name, state }) => `${name} ${state}`).join();
    });

  /** Networks and containers of any kind that carry the daemon's name. */
  async function remains(daemon: HostedDaemon): Promise<readonly string[]> {
    const filters = JSON.stringify({ label: [`hearth.owner=${daemon.owner}`] });
    const networks = await host.docker.listNetworks({ filters });
    const containers = await host.containers(daemon, "any");
    return [...containers, ...networks.map(({ Name }) => ({ name: Name }))].map(({ name }) => name);
  }

  describe("M14", () => {
    let daemon: HostedDaemon;
    beforeAll(async () => {
      daemon = await host.start({ config: "cpu: 2\nmem: 512\npause_wait_s: 1\ntimeout: 1\n" });
    });
    afterAll(async () => {
      await daemon[Symbol.asyncDispose]();
    });

    test("M14: what is not paused refuses a new configuration, and keeps the old one", async () => {
      expect(await ask(daemon, "/update-config", DOCUMENTED)).toMatchObject({
        status: 200,
        json: { success: false, msg: expect.stringContaining("pause") as unknown },
      });
      expect(await stats(daemon)).toMatchObject({ task_cpu: 2, task_mem: 512 });
    });

    test("M14: pause answers with the number still running; new calls are refused at once; the running one ends and the warm go", async () => {
      await call(daemon, await host.taskCalled("idle"), "x", WISH);
      const [held] = await hold(daemon);
      const paused = await ask(daemon, "/pause", "");
      expect(paused.status).toBe(200);
      expect(paused.json).toMatchObject({
        success: true,
        running: 1,
        msg: expect.stringContaining("1") as unknown,
      });

      const refused = await call(daemon, host.task, "x", WISH);
      expect(refused).toMatchObject({ status: 200, success: false, msg: "the executor is paused" });
      expect((await call(daemon, await host.taskCalled("new"), "x")).headers.get("hearth-error")).toBe(
        "PAUSED",
      );
      const { bytes, status } = await ask(daemon, "/stats");
      expect(status).toBe(200);
      expect(bytes.toString()).toBe(
        '{\n    "success": false,\n    "msg": "failed to retrieve resource stats"\n}',
      );
      await poll("the idle one has gone although the other still works", async () => {
        const left = (await host.containers(daemon)).map(({ name }) => name.split("_")[1]);
        return left.join() === "obey" || left.join();
      });

      await release(daemon);
      expect(await held).toMatchObject({ success: true, msg: "hold" });
      await gone(daemon);
      expect((await ask(daemon, "/pause", "")).json).toMatchObject({ success: true, running: 0 });
    });

    test("M14: a wrong body is a 400 that changes nothing, not even what is right in it", async () => {
      await ask(daemon, "/pause", "");
      for (const body of [
        { cpu: 1, mem: 0 },
        { cpu: -1 },
        { cpu: "1" },
        { timeout: 0 },
        { timeout: 1.5 },
        { mem: 1.5, cpu: 1 },
        "{",
        "[]",
      ]) {
        const { status, json } = await ask(daemon, "/update-config", body);
        expect({ body, status, json }).toMatchObject({ status: 400, json: { success: false } });
      }
      expect(await setting(daemon, "cpu")).toBe(2);
      expect(await setting(daemon, "timeout")).toBe(1);
    });

    test("M14: the documented body works, a runtime that is not here is told of, and its new limits and timeout hold after unpause", async () => {
      await ask(daemon, "/pause", "");
      const changed = await ask(daemon, "/update-config", DOCUMENTED);
      expect(changed).toMatchObject({ status: 200, json: { success: true } });
      expect((changed.json as { msg: string }).msg).toContain("kata");
      expect(await ask(daemon, "/unpause", "")).toMatchObject({ status: 200, json: { success: true } });
      expect(await stats(daemon)).toMatchObject({ task_cpu: 1, task_mem: 200, task_used_cpu: 0 });
      expect(await setting(daemon, "timeout")).toBe(2);
      expect(await call(daemon, host.task, "again", WISH)).toMatchObject({
        success: true,
        msg: "again",
        start: "cold",
      });
      const above = await call(daemon, host.task, "x", { resource: { cpu: 0.1, mem: 201 } });
      expect(above.headers.get("hearth-error")).toBe("RESOURCES_EXCEED_LIMIT");
      const other = await call(daemon, host.task, "x", { ...WISH, runtime: "microVM" });
      expect(other.headers.get("hearth-error")).toBe("ISOLATION_UNAVAILABLE");
    });

    test("M14: a missing timeout keeps the old one", async () => {
      await ask(daemon, "/pause", "");
      expect((await ask(daemon, "/update-config", { cpu: 1.5, mem: 300 })).json).toMatchObject({
        success: true,
      });
      await ask(daemon, "/unpause", "");
      expect(await setting(daemon, "timeout")).toBe(2);
      expect(await stats(daemon)).toMatchObject({ task_cpu: 1.5, task_mem: 300 });
    });
  });

  test("M14: pause waits for running calls; the idle clock goes by the new timeout, and by the old one when none is given", async () => {
    await using daemon = await host.start({ config: "cpu: 1\nmem: 512\npause_wait_s: 60\ntimeout: 0.03\n" });
    const [held] = await hold(daemon);
    const pausing = ask(daemon, "/pause", "");
    await poll("the pause has begun", async () => {
      const { headers } = await call(daemon, host.task, "x", WISH);
      return headers.get("hearth-error") === "PAUSED" || "not yet";
    });
    await release(daemon);
    expect((await pausing).json).toMatchObject({ success: true, running: 0 });
    expect(await host.containers(daemon)).toEqual([]);
    expect((await held)?.success).toBe(true);

    await ask(daemon, "/update-config", { cpu: 1, mem: 500 });
    await ask(daemon, "/unpause", "");
    await call(daemon, host.task, "x", WISH);
    expect(await setting(daemon, "timeout")).toBe(0.03);
    await poll(
      "the old timeout acts",
      async () => (await host.containers(daemon)).length === 0 || "no",
      // Less than the minute of a configuration that names none.
      50_000,
    );

    await ask(daemon, "/pause", "");
    await ask(daemon, "/update-config", { cpu: 1, mem: 500, timeout: 1 });
    await ask(daemon, "/unpause", "");
    await call(daemon, host.task, "x", WISH);
    await poll("it is idle for longer than the old timeout", async () => {
      const { json } = await ask(daemon, "/v1/sandboxes");
      const [sandbox] = (json as { sandboxes: { idleMs: number; tier: string }[] }).sandboxes;
      if (sandbox === undefined) throw new Error("it has gone");
      return sandbox.idleMs > 4000 || String(sandbox.idleMs);
    });
    expect((await host.containers(daemon)).map(({ state }) => state)).toEqual(["running"]);
  }, 180_000);

  test("M29: /stop and SIGTERM let running calls end, leave nothing of ours and everything of others, and exit with 0", async () => {
    // It is still warm when two lives of another daemon have come and gone, however long they take.
    await using neighbour = await host.start({ config: "cpu: 1\nmem: 256\ntimeout: 60\n" });
    const before = await call(neighbour, host.task, "x", WISH);
    const HostConfig = { NetworkMode: "none" };
    const bystander = await host.docker.createContainer({ Image: host.task, HostConfig });
    await bystander.start();

    for (const way of ["/stop", "SIGTERM"] as const) {
      await using daemon = await host.start({ config: "cpu: 1\nmem: 256\n" });
      await call(daemon, await host.taskCalled("idle"), "x", WISH);
      const [held] = await hold(daemon);
      expect((await remains(daemon)).length).toBeGreaterThan(2);

      if (way === "/stop") {
        const answer = await ask(daemon, way, "");
        expect(answer).toMatchObject({ status: 200, json: { success: true } });
        expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
      } else daemon.child.kill(way);
      await poll("new calls are refused", async () => {
        const { headers } = await call(daemon, host.task, "x", WISH);
        return headers.get("hearth-error") === "DRAINING" || "not yet";
      });
      await release(daemon);
      expect(await held).toMatchObject({ success: true, msg: "hold" });
      expect(await daemon.ended).toBe(0);
      expect(await remains(daemon)).toEqual([]);
    }

    expect(await call(neighbour, host.task, "x", WISH)).toMatchObject({
      success: true,
      start: "warm",
      sandboxId: before.sandboxId,
    });
    expect((await bystander.inspect()).State.Running).toBe(true);
    await bystander.remove({ force: true });
  }, 180_000);
});
