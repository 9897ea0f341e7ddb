import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Host } from "../../src/contract/v1/host.ts";
import type { SandboxList } from "../../src/contract/v1/sandboxes.ts";
import { freshName } from "../support/fresh-name.ts";
import { judgeAtRest, judgeLog } from "../support/judge.ts";
import { poll } from "../support/poll.ts";
import type { ProcessHost } from "../support/process-host.ts";
import { openProcessHost } from "../support/process-host.ts";
import { outputOf } from "../support/run-program.ts";
import { SLACK } from "../support/slack.ts";

const MEBIBYTE = 1_048_576;

describe("the daemon's own end, on processes", () => {
  let host: ProcessHost;

  beforeAll(async () => {
    host = await openProcessHost();
  });
  afterAll(async () => {
    await using _host = host;
    expect(await host.taskProcesses()).toEqual([]);
  });

  test("M29: after kill -9 under load the next life answers at once and nothing of the old one runs or is booked", async () => {
    const owner = freshName("fault");
    const stateDir = await mkdtemp(join(tmpdir(), "hs-"));
    try {
      await using first = await host.start({ owner, stateDir });
      const script =
        "require('node:child_process').spawn('sleep', ['600'], { detached: true }); await sleep(60000)";
      const load = [
        ...Array.from({ length: 5 }, () => first.caller.call(host.obeys, script, { mem: 128 })),
        first.caller.call(host.slow, "", { mem: 64 }),
      ];
      await poll("everything runs", async () => {
        const { sandboxes } = await first.caller.get<SandboxList>("/v1/sandboxes");
        const used = sandboxes.reduce((sum, { slotsUsed }) => sum + slotsUsed, 0);
        return (used === 5 && sandboxes.length === 2) || `${used} calls, ${sandboxes.length} sandboxes`;
      });
      const old = await host.taskProcesses();
      expect(old.length).toBeGreaterThan(0);
      expect(await first.daemon.end("SIGKILL")).toBe("SIGKILL");
      for (const { status } of await Promise.all(load)) expect(status).toBe(0);

      const startedAtMs = performance.now();
      await using second = await host.start({ owner, stateDir });
      expect(performance.now() - startedAtMs).toBeLessThan(1000 * SLACK);
      await poll("nothing of the old life is left", async () => {
        const left = await host.taskProcesses();
        return left.length === 0 || `processes ${left.join()}`;
      });
      await judgeAtRest(second);
      const fresh = await second.caller.call(host.obeys, "return 'fresh'", { mem: 128 });
      expect([fresh.status, fresh.text, fresh.start]).toEqual([200, "fresh", "cold"]);
      await judgeAtRest(second);
      expect(await second.daemon.end("SIGTERM")).toBe(0);
      expect(await host.taskProcesses()).toEqual([]);
      expect(await second.realSandboxes()).toEqual([]);
    } finally {
      await rm(stateDir, { recursive: true, force: true });
    }
  }, 180_000);

  test("A11: with 128 files to open and 500 idle connections all work is done all the same", async () => {
    await using daemon = await host.start({ under: ["prlimit", "--nofile=128:128"] });
    const port = Number(new URL(daemon.daemon.baseUrl).port);
    expect((await daemon.caller.call(host.obeys, "return 'warm'", { mem: 128 })).text).toBe("warm");
    const sockets = Array.from({ length: 500 }, () => {
      const socket = connect({ host: "127.0.0.1", port });
      socket.on("error", () => undefined); // turned away
      return socket;
    });
    await poll("the surplus is turned away", () => {
      const closed = sockets.filter((socket) => socket.closed || socket.readyState === "closed").length;
      return closed >= 300 || `${closed} closed`;
    });
    const outcomes: string[] = [];
    for (let at = 0; at < 20; at += 1) {
      const { status, code } = await daemon.caller.call(host.obeys, "return 'done'", {
        mem: 128 + (at % 3),
        cpu: 0.4,
      });
      outcomes.push(`${status} ${code}`.trim());
    }
    for (const socket of sockets) socket.destroy();
    expect(outcomes).toEqual(Array(20).fill("200"));
    await judgeAtRest(daemon);
    expect((await daemon.caller.call(host.obeys, "return 'calm'", { mem: 128 })).text).toBe("calm");
  }, 180_000);

  test("D10: a task that fills /tmp, makes files without end or forks without end harms itself only", async () => {
    await using daemon = await host.start();
    const neighbour = await daemon.caller.call(host.obeys, "return 'here'", { mem: 64 });
    const fill = await daemon.caller.call(
      host.obeys,
      `const fs = require("node:fs"); let bytes = 0;
       const file = fs.openSync("/tmp/fill", "w"); const block = Buffer.alloc(1 << 20, 1);
       try { for (; bytes < 2 ** 30; bytes += block.length) fs.writeSync(file, block); } catch (error) { return error.code + " " + bytes; }
       return "no end " + bytes;`,
      { mem: 128, runTimeoutMs: 20_000 },
    );
    // Only where the host has bubblewrap and cgroups; the daemon says so where it has not.
    const isConfined = !daemon.daemon.log().includes('"driver.degraded"');
    const [error, bytes] = fill.text.split(" ");
    if (isConfined) {
      expect(existsSync("/tmp/fill")).toBe(false);
      expect([fill.status, error, Number(bytes) <= 64 * MEBIBYTE]).toEqual([200, "ENOSPC", true]);
    }
    const forks = await daemon.caller.call(
      host.obeys,
      `const { spawn } = require("node:child_process"); let made = 0; let failed = 0;
       for (let at = 0; at < 600 && failed < 20; at += 1) await new Promise((go) => {
         const child = spawn("sleep", ["60"], { stdio: "ignore" });
         child.on("spawn", () => { made += 1; go(); }); child.on("error", () => { failed += 1; go(); });
       });
       return made + " " + failed;`,
      { mem: 256, cpu: 1, runTimeoutMs: 30_000 },
    );
    if (isConfined) expect(Number(forks.text.split(" ")[0])).toBeLessThanOrEqual(256);
    // Not the room on the disk, which is everybody's.
    const [bytesKept = ""] = (await outputOf("du", ["-sb", daemon.daemon.stateDir])).split("\t");
    expect(Number(bytesKept)).toBeLessThan(200 * MEBIBYTE);
    const again = await daemon.caller.call(host.obeys, "return 'still here'", { mem: 64 });
    expect([again.text, again.sandboxId]).toEqual(["still here", neighbour.sandboxId]);
    await daemon.caller.post("/pause");
    await daemon.caller.post("/unpause");
    const { reserved } = await daemon.caller.get<Host>("/v1/host");
    expect(reserved.memoryBytes).toBe(0);
    await judgeAtRest(daemon);
    judgeLog(daemon.daemon);
  }, 180_000);
});
