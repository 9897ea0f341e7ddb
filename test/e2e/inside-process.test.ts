import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findTool } from "../../src/drivers/process/tools.ts";
import { ask, call } from "../support/legacy-call.ts";
import { outputOf } from "../support/run-program.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { freePort, startDaemon } from "../support/start-daemon.ts";

const SMALL = { resource: { cpu: 0.2, mem: 100 } };
const reason = whyNotWhole();

/** Why a task of this host is not walled in as it is elsewhere; `undefined` where it is. */
function whyNotWhole(): string | undefined {
  if (process.getuid?.() !== 0) return "sandboxes of processes are only whole for root";
  return findTool("bwrap") === undefined ? "there is no bubblewrap" : undefined;
}

/** One GET each, side by side: the status and body of the answer, or why there was none. */
const GET_ALL = `async (urls, patienceMs = 3000) => Promise.all(urls.map(async (url) => {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(patienceMs) });
    return [url, answer.status, await answer.text()];
  } catch (error) {
    return [url, error.cause?.code ?? error.name, ""];
  }
}))`;
type Got = readonly (readonly [url: string, status: number | string, body: string])[];

describe.skipIf(reason !== undefined)(`inside a process${reason === undefined ? "" : ` (${reason})`}`, () => {
  let folder: string;
  let daemon: Daemon;
  let port: number;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "hearth-tasks-"));
    // Tasks run under other uids.
    await chmod(folder, 0o755);
    for (const id of ["one", "other"]) {
      await mkdir(join(folder, id), { mode: 0o755 });
      await cp(new URL("../support/tasks/behave.mjs", import.meta.url), join(folder, id, "behave.mjs"));
      await writeFile(
        join(folder, id, "task.json"),
        JSON.stringify({ id, command: ["node", "behave.mjs", "tells"] }),
      );
    }
    port = await freePort();
    const env = {
      HEARTH_DRIVER: "process",
      HEARTH_TASKS_DIRS: folder,
      HEARTH_HTTP_HOST: "0.0.0.0",
      HEARTH_TIMEOUT: "60",
    };
    daemon = await startDaemon({ port, env });
    await inTask("one", "return 1");
  }, 180_000);
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  /** Runs JavaScript in a task. What it throws there is an error here: a probe that cannot run is no refusal. */
  async function inTask<T>(id: "one" | "other", script: string): Promise<T> {
    const { success, msg } = await call(daemon, id, asModule(script), SMALL);
    if (!success) throw new Error(`the probe itself failed: ${msg}`);
    return JSON.parse(msg) as T;
  }

  /** The same expression beside the daemon: what proves that a probe can succeed. */
  async function onHost<T>(expression: string): Promise<T> {
    const script = `console.log(JSON.stringify(await ${expression}))`;
    return JSON.parse(await outputOf(process.execPath, ["--input-type=module", "-e", script])) as T;
  }

  const getInTask = (urls: readonly string[]): Promise<Got> =>
    inTask("one", `return await (${GET_ALL})(${JSON.stringify(urls)})`);
  const addressesIn = (id: "one" | "other"): Promise<readonly string[]> =>
    inTask(
      id,
      'return Object.values(require("node:os").networkInterfaces()).flat().map((face) => face.address)',
    );

  test("S: a task reaches itself, and its probe gets what the API says where it may", async () => {
    const toItself = `const url = "http://127.0.0.1:" + process.env.PORT;
      return (await fetch(url, { method: "POST", body: ${JSON.stringify(asModule("return 1"))} })).status`;
    expect(await inTask("one", toItself)).toBe(200);
    const got = await onHost<Got>(`(${GET_ALL})(["http://127.0.0.1:${port}/stats"], 60_000)`);
    expect(got).toEqual([[expect.any(String), 200, expect.stringContaining("task_cpu")]]);
  });

  test("S: a task gets nothing from the API at any address, and changes nothing there", async () => {
    const ofHost = Object.values(networkInterfaces()).flatMap((faces) => faces ?? []);
    const ofTask = await addressesIn("one");
    const near = ofTask
      .filter((one) => one.includes("."))
      .flatMap((one) => [-2, -1, 1, 2].map((step) => shifted(one, step)));
    const addresses = new Set([
      "127.0.0.1",
      "localhost",
      "0.0.0.0",
      ...near,
      ...ofHost.filter(({ family }) => family === "IPv4").map(({ address }) => address),
    ]);
    const urls = [...addresses].flatMap((one) =>
      ["stats", "openapi.json", "v1/config"].map((path) => `http://${one}:${port}/${path}`),
    );
    const got: Got[number][] = [];
    for (let at = 0; at < urls.length; at += 60) got.push(...(await getInTask(urls.slice(at, at + 60))));
    expect(got).toHaveLength(urls.length);
    expect(got.filter(([, status]) => typeof status === "number" && status !== 403)).toEqual([]);
    await inTask(
      "one",
      `try { await fetch("http://127.0.0.1:${port}/pause", { method: "POST" }); } catch {} return 1`,
    );
    expect((await ask(daemon, "/v1/host")).json).toMatchObject({ state: "running" });
  }, 180_000);

  test("S: a task does not reach another one, which the daemon reaches", async () => {
    await inTask("other", "globalThis.isMarked = true; return 1");
    expect(await inTask("other", "return globalThis.isMarked === true")).toBe(true);
    const otherPort = await inTask<string>("other", "return process.env.PORT");
    const targets = [...(await addressesIn("other")), "127.0.0.1"].filter((one) => one.includes("."));
    const script = JSON.stringify(asModule("return globalThis.isMarked === true"));
    for (const target of targets) {
      const reached = await inTask(
        "one",
        `try {
          const answer = await fetch("http://${target}:${otherPort}/", { method: "POST", body: ${script}, signal: AbortSignal.timeout(3000) });
          return await answer.text();
        } catch { return "no"; }`,
      );
      expect({ target, reached }).not.toEqual({ target, reached: "true" });
    }
  });

  test("S: a task reaches no socket of the host's services, such as an engine's", async () => {
    const path = join(folder, "engine.sock");
    const server = createServer((socket) => socket.end("open"));
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await chmod(path, 0o660);
    const probe = `import("node:net").then((net) => new Promise((resolve) => {
      const socket = net.connect(${JSON.stringify(path)});
      socket.on("data", (data) => resolve(String(data)));
      socket.on("error", (error) => resolve(error.code));
    }))`;
    expect(await onHost(probe)).toBe("open");
    expect(await inTask("one", `return await ${probe}`)).toMatch(/^(EACCES|ENOENT|EPERM)$/);
    server.close();
  });

  test("S: a task is not root, has no capability and gets none, and cannot signal the daemon", async () => {
    const status = await inTask<string>(
      "one",
      'return require("node:fs").readFileSync("/proc/self/status", "utf8")',
    );
    expect(status).toMatch(/^CapEff:\s+0+$/m);
    expect(status).toMatch(/^CapPrm:\s+0+$/m);
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(status).not.toMatch(/^Uid:\s+0\s/m);
    const pid = daemon.child.pid ?? 0;
    expect(process.kill(pid, 0)).toBe(true);
    expect(
      await inTask("one", `try { return process.kill(${pid}, 0); } catch (error) { return error.code; }`),
    ).toMatch(/^(EPERM|ESRCH)$/);
  });

  test("S: a task cannot write a kernel setting, mount, or write outside its own places", async () => {
    for (const script of [
      'require("node:fs").writeFileSync("/proc/sys/kernel/panic", "0")',
      'require("node:fs").writeFileSync("/etc/hearth-probe", "x")',
      'require("node:fs").writeFileSync("/usr/bin/hearth-probe", "x")',
      `require("node:fs").writeFileSync(${JSON.stringify(join(folder, "other", "probe"))}, "x")`,
      'const { status } = require("node:child_process").spawnSync("mount", ["-t", "tmpfs", "none", "/tmp"]); if (status !== 0) throw { code: "EPERM" }',
    ]) {
      const end = await inTask(
        "one",
        `try { ${script}; return "done"; } catch (error) { return error.code; }`,
      );
      expect({ script, end }).toEqual({
        script,
        end: expect.stringMatching(/^(EACCES|EROFS|ENOENT|EPERM)$/) as unknown,
      });
    }
    // The same call works where it may.
    expect(await inTask("one", 'require("node:fs").writeFileSync("/tmp/probe", "x"); return "done"')).toBe(
      "done",
    );
  });
});

/** What the task's program takes: see `tells` in `behave.mjs`. */
function asModule(script: string): string {
  return `export default async (require) => { ${script} }`;
}

/** The address `step` after another. */
function shifted(address: string, step: number): string {
  return address.replace(/\d+$/, (last) => String((Number(last) + step + 256) % 256));
}
