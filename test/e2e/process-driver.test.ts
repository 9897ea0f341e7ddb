import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { familyOf } from "../../src/drivers/process/process-table.ts";
import { freshName } from "../support/fresh-name.ts";
import { GOLDEN, LARGE, LARGE_MSG, wholeAnswer } from "../support/golden-answers.ts";
import type { ListedSandbox, TaskReply } from "../support/legacy-call.ts";
import { ask, call, sandboxes, stats } from "../support/legacy-call.ts";
import { whyNoCgroup } from "../support/no-cgroup.ts";
import { poll } from "../support/poll.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { startDaemon } from "../support/start-daemon.ts";
import { unlessStill } from "../support/unless-still.ts";

const noCgroup = whyNoCgroup();
const MEGABYTE = 1_048_576;
/** The timeout that the test of M11 configures: 0.05 minutes. */
const IDLE_MS = 3000;
const TASKS = ["a", "b", "c", "d", "e"] as const;
type Task = (typeof TASKS)[number];

/** What the kernel itself says of a task's process group; `undefined` where this host has no cgroups for us. */
interface KernelView {
  readonly cpu: string;
  readonly memory: string;
  readonly freezer: string;
}

/** The first process of a sandbox. */
const pidOf = ({ label }: ListedSandbox): number => Number(label.split(" ")[1]);
const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

/** @param leader what runs in the sandbox descends from it; it need not be in the cgroup itself. */
function kernelView(leader: number): KernelView | undefined {
  const lines = familyOf(leader)
    .map((pid) => readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n"))
    .find((each) => each.some((line) => line.includes("/hearth/")));
  if (lines === undefined) return undefined;
  const read = (controller: string, file: string): string => {
    const line =
      lines.find((one) => (one.split(":")[1] ?? "").split(",").includes(controller)) ?? lines.at(-1) ?? "";
    const isUnified = line.startsWith("0::");
    const place = join(
      "/sys/fs/cgroup",
      isUnified ? "" : (line.split(":")[1] ?? ""),
      line.split(":").slice(2).join(":"),
    );
    return existsSync(join(place, file)) ? readFileSync(join(place, file), "utf8").trim() : "";
  };
  return {
    cpu: read("cpu", "cpu.cfs_quota_us") || (read("cpu", "cpu.max").split(" ")[0] ?? ""),
    memory: read("memory", "memory.limit_in_bytes") || read("memory", "memory.max"),
    freezer: read("freezer", "freezer.state") || read("freezer", "cgroup.freeze").replace("1", "FROZEN"),
  };
}

describe("without an engine", () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "hearth-tasks-"));
    // Tasks run under other uids.
    await chmod(folder, 0o755);
    for (const id of TASKS) {
      await mkdir(join(folder, id), { mode: 0o755 });
      await cp(new URL("../support/tasks/obey.mjs", import.meta.url), join(folder, id, "main.mjs"));
      await writeFile(join(folder, id, "task.json"), JSON.stringify({ id, command: ["node", "main.mjs"] }));
    }
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  const start = (config: string, env: Readonly<Record<string, string>> = {}): Promise<Daemon> =>
    startDaemon({ config, env: { HEARTH_DRIVER: "process", HEARTH_TASKS_DIRS: folder, ...env } });
  const run = (daemon: Daemon, id: Task, cpu: number, mem: number, input = "x"): Promise<TaskReply> =>
    call(daemon, id, input, { resource: { cpu, mem } });

  /** Each task's tier, by its id. */
  async function tiers(daemon: Daemon): Promise<Record<string, string>> {
    return Object.fromEntries((await sandboxes(daemon)).map(({ image, tier }) => [image, tier]));
  }

  async function find(daemon: Daemon, sandboxId: string): Promise<ListedSandbox> {
    const found = (await sandboxes(daemon)).find(({ id }) => id === sandboxId);
    if (found === undefined) throw new Error(`no sandbox ${sandboxId}`);
    return found;
  }

  /** A call that runs until it is released: by a file, because a task may not be reachable but through the daemon. */
  async function hold(
    daemon: Daemon,
    id: Task,
  ): Promise<{ answer: Promise<TaskReply>; release(): Promise<void> }> {
    const file = freshName("released");
    const answer = run(daemon, id, 0.3, 100, `hold ${file}`);
    // A test that fails before it awaits the call is told of its own failure only.
    answer.catch(() => undefined);
    await poll(
      "the call runs",
      async () => (await sandboxes(daemon)).some(({ slotsUsed }) => slotsUsed === 1) || "no",
    );
    return { answer, release: () => writeFile(join(folder, id, file), "") };
  }

  test("M5: one id and size is one process group whose second answer is fast; two sizes are two", async () => {
    await using daemon = await start("cpu: 1\nmem: 512\n");
    const first = await run(daemon, "a", 0.5, 100, "one");
    expect(first).toMatchObject({ success: true, msg: "one", start: "cold" });
    // One of them meets a machine that does nothing else.
    await poll("a second answer takes under a tenth of the time", async () => {
      const { start: kind, sandboxId, tookMs } = await run(daemon, "a", 0.5, 100);
      expect({ kind, sandboxId }).toEqual({ kind: "warm", sandboxId: first.sandboxId });
      return tookMs < first.tookMs / 10 || `${tookMs} and ${first.tookMs} ms`;
    });
    const other = await run(daemon, "a", 0.4, 110);
    expect(other.start).toBe("cold");
    const pids = (await sandboxes(daemon)).map(pidOf);
    expect(new Set(pids).size).toBe(2);
    expect(pids.every(isAlive)).toBe(true);
  });

  test("a folder of tasks that is not there yet is told of once in the log, and its tasks are found when it comes", async () => {
    const later = join(folder, freshName("later"));
    await using daemon = await start("", { HEARTH_TASKS_DIRS: `${folder},${later}` });
    expect((await run(daemon, "a", 0.3, 100)).success).toBe(true);
    const line = `HEARTH_TASKS_DIRS: tasks.dirs: there is no folder ${later}; `;
    expect(daemon.log().split(line)).toHaveLength(2);
    await mkdir(join(later, "new"), { recursive: true, mode: 0o755 });
    await cp(join(folder, "a", "main.mjs"), join(later, "new", "main.mjs"));
    const task = { id: "new", command: ["node", "main.mjs"] };
    await writeFile(join(later, "new", "task.json"), JSON.stringify(task));
    expect(await call(daemon, "new", "x", { resource: { cpu: 0.3, mem: 100 } })).toMatchObject({
      success: true,
    });
  });

  test("a sandbox that takes no more calls and still runs one is shown as retiring, until that has ended", async () => {
    await using daemon = await start("");
    const { answer, release } = await hold(daemon, "a");
    const paused = ask(daemon, "/pause", "");
    await poll("it retires", async () => (await tiers(daemon))["a"] === "retiring" || "not yet");
    await release();
    expect((await answer).success).toBe(true);
    await paused;
    await poll("it is gone", async () => Object.keys(await tiers(daemon)).length === 0 || "not yet");
  });

  const ofKernel = noCgroup === undefined ? "" : ` (${noCgroup})`;
  test.skipIf(noCgroup !== undefined)(
    `M7: the kernel holds a task to what it was given${ofKernel}`,
    async () => {
      await using daemon = await start("cpu: 2\nmem: 1024\n");
      const wishes = [
        { wish: {}, cpuMillis: 1000, megabytes: 128 },
        { wish: { resource: { cpu: 0.5 } }, cpuMillis: 500, megabytes: 128 },
        { wish: { resource: { cpu: 0.3, mem: 100 } }, cpuMillis: 300, megabytes: 100 },
      ];
      for (const { wish, cpuMillis, megabytes } of wishes) {
        const answer = await call(daemon, "a", "x", wish);
        expect(answer).toMatchObject({ success: true, msg: "x" });
        const kernel = kernelView(pidOf(await find(daemon, answer.sandboxId)));
        expect(kernel).toMatchObject({ cpu: String(cpuMillis * 100), memory: String(megabytes * MEGABYTE) });
      }
    },
  );

  test("M7: a task gets what the contract says, and what it does not allow is refused with its name", async () => {
    await using daemon = await start("cpu: 2\nmem: 1024\n");
    expect(await call(daemon, "a", "x", {})).toMatchObject({ success: true, msg: "x" });
    for (const [field, resource] of [
      ["resource.cpu", { cpu: 0.55 }],
      ["resource.cpu", { cpu: -1 }],
      ["resource.cpu", { cpu: "1" }],
      ["resource.mem", { mem: 1.5 }],
    ] as const) {
      const refused = await call(daemon, "b", "x", { resource });
      expect(refused).toMatchObject({ status: 400, msg: expect.stringContaining(field) as unknown });
    }
    expect((await call(daemon, "b", "x", { useGpu: true })).headers.get("hearth-error")).toBe(
      "GPU_UNAVAILABLE",
    );
    expect(Object.keys(await tiers(daemon))).toEqual(["a"]);
  });

  test("M11: an idle server goes after the timeout; a call that is longer is not cut, and its server stays", async () => {
    await using daemon = await start("cpu: 1\nmem: 512\ntimeout: 0.05\n");
    const { pid } = await unlessStill(async () => {
      const startedAtMs = performance.now();
      const long = await run(daemon, "a", 0.5, 100, "sleep 3");
      expect(long).toMatchObject({ success: true, msg: "sleep 3" });
      const again = await run(daemon, "a", 0.5, 100);
      const found = (await sandboxes(daemon)).find(({ id }) => id === long.sandboxId);
      // From the earliest end of its sleep on it had this time to be idle in.
      if (performance.now() - startedAtMs > 3000 + IDLE_MS) return undefined;
      expect(again).toMatchObject({ start: "warm", sandboxId: long.sandboxId });
      expect(found).toBeDefined();
      return { pid: pidOf(found as ListedSandbox) };
    });
    await poll("its processes are gone", () => !isAlive(pid) || "it lives");
    await poll("its share is free", async () => (await stats(daemon))["task_used_mem"] === 0 || "not yet");
  });

  test("M12: memory is made by removing exactly enough idle servers, the longest idle first", async () => {
    await using daemon = await start("cpu: 2\nmem: 320\n");
    for (const id of ["a", "b", "c"] as const) await run(daemon, id, 0.1, 100);
    expect((await run(daemon, "d", 0.1, 100)).success).toBe(true);
    expect(await tiers(daemon)).toEqual({ b: "hot", c: "hot", d: "hot" });
    expect((await run(daemon, "e", 0.1, 150)).success).toBe(true);
    expect(await tiers(daemon)).toEqual({ d: "hot", e: "hot" });
  });

  test("M12: CPU is made by freezing idle servers, which wake; a busy one stays as it is and is warm afterwards", async () => {
    await using daemon = await start("cpu: 1\nmem: 1000\n");
    const held = await hold(daemon, "a");
    const frozen = await run(daemon, "b", 0.3, 100);
    await run(daemon, "c", 0.3, 100);
    expect((await run(daemon, "d", 0.3, 100)).success).toBe(true);
    expect(await tiers(daemon)).toEqual({ a: "hot", b: "frozen", c: "hot", d: "hot" });
    const kernel = kernelView(pidOf(await find(daemon, frozen.sandboxId)));
    expect(kernel?.freezer ?? noCgroup).toBe(noCgroup ?? "FROZEN");
    expect(await run(daemon, "b", 0.3, 100, "awake")).toMatchObject({
      success: true,
      msg: "awake",
      start: "thawed",
      sandboxId: frozen.sandboxId,
    });
    expect((await run(daemon, "e", 0.7, 100)).success).toBe(true);
    expect(await tiers(daemon)).toEqual({ a: "hot", b: "frozen", c: "frozen", d: "frozen", e: "hot" });
    await held.release();
    const answer = await held.answer;
    expect(answer).toMatchObject({ success: true, msg: expect.stringContaining("hold") as unknown });
    expect(await run(daemon, "a", 0.3, 100)).toMatchObject({ start: "warm", sandboxId: answer.sandboxId });
  });

  test("M14: pause, update-config and unpause do as the contract says", async () => {
    await using daemon = await start("cpu: 1\nmem: 512\npause_wait_s: 1\n");
    expect((await ask(daemon, "/update-config", { cpu: 2 })).json).toMatchObject({ success: false });
    await run(daemon, "b", 0.3, 100);
    const held = await hold(daemon, "a");
    const pids = (await sandboxes(daemon)).map(pidOf);
    expect((await ask(daemon, "/pause", "")).json).toMatchObject({ success: true, running: 1 });
    expect(await run(daemon, "c", 0.3, 100)).toMatchObject({ success: false, msg: "the executor is paused" });
    expect((await ask(daemon, "/stats")).json).toEqual({
      success: false,
      msg: "failed to retrieve resource stats",
    });
    await held.release();
    expect(await held.answer).toMatchObject({
      success: true,
      msg: expect.stringContaining("hold") as unknown,
    });
    await poll("the warm servers are gone", () => !pids.some(isAlive) || "not yet");
    // Answers once all is quiet.
    expect((await ask(daemon, "/pause", "")).json).toMatchObject({ success: true, running: 0 });
    expect((await ask(daemon, "/update-config", { cpu: -1 })).status).toBe(400);
    const body = { timeout: 2, cpu: 0.5, mem: 200, has_gpu: false, microVM_runtime: "kata" };
    expect((await ask(daemon, "/update-config", body)).json).toMatchObject({ success: true });
    expect((await ask(daemon, "/unpause", "")).json).toMatchObject({ success: true });
    expect(await stats(daemon)).toMatchObject({ task_cpu: 0.5, task_mem: 200, task_used_mem: 0 });
    expect((await run(daemon, "c", 0.3, 100)).success).toBe(true);
    expect((await run(daemon, "c", 0.6, 100)).headers.get("hearth-error")).toBe("RESOURCES_EXCEED_LIMIT");
  });

  test("M28: the answer's bytes are the contract's, twice in a row and after a restart", async () => {
    const base64 = LARGE.toString("base64");
    for (const round of [1, 2]) {
      await using daemon = await start("cpu: 1\nmem: 512\n");
      for (const [name, [answer, msg]] of Object.entries(GOLDEN)) {
        for (const success of [true, true, false]) {
          const input = `${success ? "ok" : "bad"} ${answer.toString("base64")}`;
          const { bytes } = await run(daemon, "a", 0.5, 200, input);
          const expected = wholeAnswer(success, msg);
          expect({ round, name, text: bytes.toString("latin1") }).toEqual({
            round,
            name,
            text: expected.toString("latin1"),
          });
        }
      }
      const { bytes } = await run(daemon, "a", 0.5, 200, `ok ${base64}`);
      expect(bytes.equals(wholeAnswer(true, LARGE_MSG))).toBe(true);
    }
  }, 180_000);

  test.each(["/stop", "SIGTERM"] as const)(
    "M29: %s lets running calls end, leaves no process of ours and every one of others, and exits with 0",
    async (way) => {
      const stranger = spawn(process.execPath, ["-e", "setInterval(() => 0, 1e6)"], { stdio: "ignore" });
      await using neighbour = await start("cpu: 1\nmem: 256\n");
      const before = await run(neighbour, "a", 0.3, 100);
      await using daemon = await start("cpu: 1\nmem: 256\n");
      await run(daemon, "b", 0.3, 100);
      const held = await hold(daemon, "a");
      const pids = (await sandboxes(daemon)).map(pidOf);
      expect(pids).toHaveLength(2);

      if (way === "/stop") {
        expect(await ask(daemon, way, "")).toMatchObject({ status: 200, json: { success: true } });
      } else daemon.child.kill(way);
      await poll("new calls are refused", async () => {
        const { headers } = await run(daemon, "b", 0.3, 100);
        return headers.get("hearth-error") === "DRAINING" || "not yet";
      });
      await held.release();
      expect(await held.answer).toMatchObject({
        success: true,
        msg: expect.stringContaining("hold") as unknown,
      });
      expect(await daemon.ended).toBe(0);
      expect(pids.filter(isAlive)).toEqual([]);
      expect(await run(neighbour, "a", 0.3, 100)).toMatchObject({
        start: "warm",
        sandboxId: before.sandboxId,
      });
      expect(stranger.exitCode).toBeNull();
      const exited = once(stranger, "exit");
      stranger.kill("SIGKILL");
      await exited;
    },
    180_000,
  );
});
