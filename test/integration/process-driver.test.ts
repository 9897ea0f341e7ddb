import { execFile, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { chmod, readFile, writeFile } from "node:fs/promises";
import type { AddressInfo, Server } from "node:net";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Sandbox, SandboxDriver } from "../../src/core/index.ts";
import { MEBIBYTE } from "../../src/core/index.ts";
import { findTool } from "../../src/drivers/process/tools.ts";
import { postOverHttp } from "../conformance/sandbox-driver/harness.ts";
import type { StartOptions } from "../conformance/sandbox-driver/scene.ts";
import { neverAborted, specFor } from "../conformance/sandbox-driver/scene.ts";
import { poll } from "../support/poll.ts";
import type { ProcessHarness } from "../support/process-harness.ts";
import { openProcessHarness } from "../support/process-harness.ts";

const run = promisify(execFile);

let harness: ProcessHarness;
/** The same on the host's network, where tasks and their ports have to be told apart. */
let hostHarness: ProcessHarness;
let tells = "";
const started: Sandbox[] = [];

beforeAll(async () => {
  harness = await openProcessHarness();
  tells = await harness.addTask("tells", {
    command: ["node", "behave.mjs", "tells"],
    env: { FLAVOUR: "mild" },
  });
  hostHarness = await openProcessHarness({ avoid: ["network"] });
  await hostHarness.addTask("tells", { command: ["node", "behave.mjs", "tells"] });
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((sandbox) => sandbox.stop(0)));
  expect(await harness.remains()).toEqual([]);
  expect(await hostHarness.remains()).toEqual([]);
});
afterAll(async () => {
  await harness[Symbol.asyncDispose]();
  await hostHarness[Symbol.asyncDispose]();
});

async function start(
  image: string,
  options: StartOptions = {},
  driver: SandboxDriver = harness.driver,
): Promise<Sandbox> {
  const resolved = await driver.resolve(image, { refresh: "missing" }, neverAborted());
  const sandbox = await driver.start(specFor(image, resolved, options), neverAborted());
  started.push(sandbox);
  return sandbox;
}

/** Runs JavaScript inside the sandbox and brings back what it returns. */
async function inside(sandbox: Sandbox, code: string): Promise<unknown> {
  const program = `export default async (require) => { ${code} }`;
  return JSON.parse((await postOverHttp(sandbox, program)).body);
}

/** What an attempt inside ends with: "done", or the error's code. */
const attempt = (code: string): string =>
  `try { ${code}; return "done"; } catch (error) { return error.code ?? error.message; }`;

describe("what a task sees", () => {
  test("its environment is PATH, HOME, LANG, PORT and its cards, and what its task.json adds", async () => {
    const sandbox = await start(tells);
    const environment = (await inside(sandbox, "return process.env")) as Record<string, string>;
    const cards = ["CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"];
    expect(Object.keys(environment).sort()).toEqual(
      [...cards, "FLAVOUR", "HOME", "LANG", "PATH", "PORT"].sort(),
    );
    expect(environment).toMatchObject({ FLAVOUR: "mild", PORT: String(sandbox.endpoint.port) });
  });

  test("S: with bubblewrap, of the host's files only the system's programs, read-only, and no other processes", async ({
    skip,
  }) => {
    if (!harness.driver.reach.bubblewrap) skip("bubblewrap does not work here");
    const sandbox = await start(tells);
    const fs = 'const fs = require("fs");';
    expect(
      await inside(
        sandbox,
        `${fs} return fs.readdirSync("/").filter((name) => name !== "lib32" && name !== "libx32" && name !== "lib64" && name !== "nix")`,
      ),
    ).toEqual(["bin", "dev", "etc", "lib", "proc", "sbin", "task", "tmp", "usr"]);
    expect(await inside(sandbox, `${fs} ${attempt('fs.writeFileSync("/usr/x", "")')}`)).toBe("EROFS");
    expect(await inside(sandbox, `${fs} ${attempt('fs.writeFileSync("/x", "")')}`)).toMatch(/EROFS|EACCES/);
    expect(await inside(sandbox, `${fs} ${attempt('fs.writeFileSync("/task/x", "")')}`)).toBe("EROFS");
    expect(await inside(sandbox, `${fs} ${attempt('fs.readFileSync("/etc/shadow")')}`)).toBe("ENOENT");
    expect(await inside(sandbox, `${fs} ${attempt('fs.statSync("/var/run/docker.sock")')}`)).toBe("ENOENT");
    const processes = `${fs} return fs.readdirSync("/proc").filter((name) => /^\\d+$/.test(name)).length`;
    expect(await inside(sandbox, processes)).toBeLessThanOrEqual(2);
    expect(await inside(sandbox, 'return require("os").userInfo().username')).toBe(
      harness.driver.reach.uids === "daemon" && process.getuid?.() === 0 ? "root" : "task",
    );
  });

  test("its /tmp is its own, writable, and full at its limit", async ({ skip }) => {
    if (!harness.driver.reach.bubblewrap) skip("bubblewrap does not work here");
    const [one, two] = [await start(tells), await start(tells)];
    const fs = 'const fs = require("fs");';
    expect(await inside(one, `${fs} ${attempt('fs.writeFileSync("/tmp/mine", "x")')}`)).toBe("done");
    expect(await inside(two, `${fs} ${attempt('fs.readFileSync("/tmp/mine")')}`)).toBe("ENOENT");
    const fill =
      'for (let index = 0; index < 100; index += 1) fs.appendFileSync("/tmp/full", Buffer.alloc(1048576))';
    expect(await inside(one, `${fs} ${attempt(fill)}`)).toBe("ENOSPC");
  });

  test("S: it has no capability, cannot gain one, and has a uid that no other sandbox has", async ({
    skip,
  }) => {
    if (harness.driver.reach.uids !== "own") skip("tasks have no uid of their own here");
    const [one, two] = [await start(tells), await start(tells)];
    const status = (await inside(
      one,
      'return require("fs").readFileSync("/proc/self/status", "utf8")',
    )) as string;
    expect(status).toMatch(/^CapEff:\s+0+$/m);
    expect(status).toMatch(/^CapBnd:\s+0+$/m);
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    const uids = [await inside(one, "return process.getuid()"), await inside(two, "return process.getuid()")];
    expect(new Set([...uids, 0]).size).toBe(3);
  });
});

describe("languages", () => {
  const copy = (name: string): Promise<string> =>
    readFile(new URL(`../support/tasks/${name}`, import.meta.url), "utf8");

  test("a Python task runs", async ({ skip }) => {
    if (findTool("python3") === undefined) skip("there is no python3 in the system's folders");
    const image = await harness.addTask(
      "python",
      { command: ["python3", "-u", "server.py"] },
      { "server.py": await copy("server.py") },
    );
    expect(await postOverHttp(await start(image), "hällo")).toEqual({ status: 200, body: "hällo" });
  });

  test("a shell task on busybox runs, and its command may be a file of the folder", async ({ skip }) => {
    if (findTool("busybox") === undefined) skip("there is no busybox");
    const files = { "server.sh": await copy("server.sh"), "answer.sh": await copy("answer.sh") };
    const image = await harness.addTask("busybox", { command: ["./server.sh"] }, files);
    expect(await postOverHttp(await start(image), "hello")).toEqual({ status: 200, body: "hello" });
  });

  test("a task that says its port is enough is ready without the mark and without a warning", async () => {
    const image = await harness.addTask("quiet", {
      command: ["node", "behave.mjs", "noMark"],
      ready: "port",
    });
    const sandbox = await start(image);
    // One whose mark was waited for has one more; src/drivers/process/readiness/ready.test.ts counts the looks.
    expect(sandbox.warnings).toEqual(harness.driver.reach.warnings);
  });
});

describe("limits", () => {
  test("a task that wants all the CPU gets its share", async ({ skip }) => {
    if (!harness.driver.reach.limits.includes("cpu")) skip("CPU is not limited here");
    const resources = { cpuMillis: 200, memoryBytes: 128 * MEBIBYTE, gpuCount: 0, gpuMemoryBytes: 0 };
    const sandbox = await start(tells, { task: { resources } });
    const before = await sandbox.usage(neverAborted());
    const startedAtMs = performance.now();
    await inside(sandbox, "const end = Date.now() + 1500; while (Date.now() < end); return 1");
    const elapsedMs = performance.now() - startedAtMs;
    const after = await sandbox.usage(neverAborted());
    // A period of grace on either side.
    expect(after.cpuMs - before.cpuMs).toBeLessThanOrEqual(0.2 * (elapsedMs + 200));
  });

  test("D10: a task cannot make more processes than its limit, and its neighbour does not feel it", async ({
    skip,
  }) => {
    if (!harness.driver.reach.limits.includes("pids")) skip("the number of processes is not limited here");
    const [bomb, neighbour] = [await start(tells), await start(tells)];
    const made = await inside(
      bomb,
      `const { spawn } = require("child_process");
       let made = 0;
       for (let index = 0; index < 400; index += 1) {
         const child = spawn("sleep", ["600"], { stdio: "ignore" });
         child.on("error", () => {});
         if (child.pid !== undefined) made += 1;
       }
       return made;`,
    );
    expect(made).toBeLessThan(256);
    expect(await inside(neighbour, "return 1")).toBe(1);
  });

  test("what a task is given below what it asks for is told", async () => {
    const needs = { command: ["node", "behave.mjs", "echo"], resources: { cpu: 2, mem: 256 } };
    const sandbox = await start(await harness.addTask("hungry", needs));
    expect(sandbox.warnings).toContain("it was given 1 CPU; its task.json asks for 2");
    expect(sandbox.warnings).toContain("it was given 128 MB; its task.json asks for 256");
  });
});

describe("the peers of the API", () => {
  test("D11: a connection that a task makes is known as a task's, and one of ours is not", async ({
    skip,
  }) => {
    const { driver } = hostHarness;
    if (driver.reach.uids === "daemon") skip("tasks have no uid of their own here");
    await using api = await listen("::");
    const answers: boolean[] = [];
    api.server.on("connection", (socket) => {
      const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = socket;
      answers.push(driver.isTaskAddress({ remoteAddress, remotePort, localAddress, localPort }));
      socket.on("error", () => undefined);
      socket.resume().end();
    });
    const sandbox = await start("test/tells", {}, driver);
    for (const host of ["127.0.0.1", "::1"])
      await inside(
        sandbox,
        `const socket = require("net").connect(${api.port}, "${host}"); await new Promise((resolve) => socket.resume().on("close", resolve)); return 1`,
      );
    expect(answers).toEqual([true, true]);
    await once(connect(api.port, "127.0.0.1").resume(), "close");
    expect(answers).toEqual([true, true, false]);
  });
});

describe("ports", () => {
  test.each(["gives up", "stays"] as const)(
    "a port that somebody else took is noticed and another is tried, also when the task %s",
    async (habit) => {
      // The task tells its port and waits; the first time, we take that port before it does.
      const takers: Server[] = [];
      await using control = await listen("127.0.0.1");
      control.server.on("connection", (socket) => {
        // Of a task that gave up while it was told.
        socket.on("error", () => undefined);
        socket.once("data", (port: Buffer) => {
          if (takers.length > 0) socket.end("go on");
          else takers.push(createServer().listen(Number(port), "0.0.0.0", () => socket.end("go on")));
        });
      });
      const program = `
        import { createServer } from "node:http";
        import { connect } from "node:net";
        const control = connect(${control.port}, "127.0.0.1", () => control.write(process.env.PORT));
        control.resume().on("close", () => {
          const server = createServer((request, reply) => reply.end("mine"));
          server.on("error", () => { ${habit === "stays" ? 'console.log("meca-init-done"); setTimeout(() => {}, 60000)' : "process.exit(1)"} });
          server.listen(Number(process.env.PORT), "0.0.0.0", () => console.log("meca-init-done"));
        });`;
      const image = await hostHarness.addTask(
        `race-${habit.slice(0, 5).trim()}`,
        { command: ["node", "race.mjs"] },
        { "race.mjs": program },
      );
      const sandbox = await start(image, {}, hostHarness.driver);
      expect(await postOverHttp(sandbox, "whose?")).toEqual({ status: 200, body: "mine" });
      expect(takers).toHaveLength(1);
      for (const taker of takers) taker.close();
    },
  );
});

describe("task folders", () => {
  test("a folder that tasks may not read is told before anything starts", async ({ skip }) => {
    if (harness.driver.reach.uids === "daemon") skip("tasks run under the daemon's own uid here");
    const image = await harness.addTask("locked", { command: ["node", "behave.mjs", "echo"] });
    await chmod(join(harness.taskDirectory, "locked", "behave.mjs"), 0o600);
    await expect(start(image)).rejects.toMatchObject({ code: "IMAGE_UNUSABLE" });
    await expect(start(image)).rejects.toThrow(/"behave\.mjs".*chmod -R a\+rX/);
  });

  test("what was looked up is what is started, or nothing is", async () => {
    const image = await harness.addTask("moving", { command: ["node", "behave.mjs", "echo"] });
    const resolved = await harness.driver.resolve(image, { refresh: "missing" }, neverAborted());
    await writeFile(join(harness.taskDirectory, "moving", "more.txt"), "x");
    await expect(harness.driver.start(specFor(image, resolved), neverAborted())).rejects.toMatchObject({
      code: "SANDBOX_START_FAILED",
    });
  });

  test("a faulty task.json says what is wrong with it", async () => {
    const image = await harness.addTask("faulty", { command: "node server.mjs", redy: "port" });
    await expect(start("faulty")).rejects.toThrow(/task\.json: command: .*; the file: .*redy/);
    expect(image).toBe("test/faulty");
  });
});

describe("a start that is given up", () => {
  test("at whichever moment, it ends soon and leaves nothing", async () => {
    const resolved = await harness.driver.resolve("test/echo", { refresh: "missing" }, neverAborted());
    for (let delayMs = 0; delayMs <= 60; delayMs += 4) {
      const giveUp = new AbortController();
      const starting = harness.driver.start(specFor("test/echo", resolved), giveUp.signal).then(
        (sandbox) => sandbox.stop(0),
        (error: unknown) => expect(error).toBe(giveUp.signal.reason),
      );
      // Not a wait for something: the moment itself is what is varied.
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      giveUp.abort(new Error("given up"));
      await starting;
    }
  }, 300_000);
});

describe("grandchildren", () => {
  test.each([
    ["as strongly as can be", []],
    ["with nothing but processes", ["bubblewrap", "cgroup", "setpriv"]],
  ] as const)(
    "what a task started in a session of its own ends with it, confined %s",
    async (_how, avoid) => {
      await using other = await openProcessHarness({ avoid });
      const image = await other.addTask("tells", { command: ["node", "behave.mjs", "tells"] });
      const sandbox = await start(image, {}, other.driver);
      const seconds = String(randomInt(1e6, 1e9));
      const spawnDetached = `require("child_process").spawn("sh", ["-c", "sleep ${seconds} & sleep ${seconds} & exit"], { detached: true, stdio: "ignore" }).unref(); return 1`;
      await inside(sandbox, spawnDetached);
      await poll("they run", async () => (await sleepers(seconds)).length === 2 || "not yet");
      await sandbox.stop(2000);
      expect(await sleepers(seconds)).toEqual([]);
      expect(await other.remains()).toEqual([]);
    },
  );
});

test("what somebody else has put into a sandbox's group ends with it, and keeps nothing of it back", async ({
  skip,
}) => {
  if (harness.driver.reach.cgroup === "none") skip("no cgroup can be made here");
  const sandbox = await start(tells);
  const stranger = spawn("sleep", ["600"]);
  onTestFinished(() => void stranger.kill("SIGKILL"));
  const ended = once(stranger, "exit");
  // Groups of others go meanwhile, which is an error to it.
  const look = "find /sys/fs/cgroup -type d -name $0 2>/dev/null; true";
  const { stdout } = await run("sh", ["-c", look, sandbox.id]);
  const groups = stdout.split("\n").filter(Boolean);
  expect(groups.length).toBeGreaterThan(0);
  for (const group of groups) await writeFile(join(group, "cgroup.procs"), String(stranger.pid));
  await inside(sandbox, `setTimeout(() => process.exit(3), 20); return 1`);
  expect(await sandbox.ended).toEqual({ type: "exited", exitCode: 3 });
  await sandbox.stop(0);
  expect(await ended).toEqual([null, "SIGKILL"]);
  expect(await harness.remains()).toEqual([]);
});

async function sleepers(seconds: string): Promise<readonly string[]> {
  const { readdir } = await import("node:fs/promises");
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "")),
  );
  return lines.filter((line) => line === `sleep\0${seconds}\0`);
}

interface Listening extends AsyncDisposable {
  readonly server: Server;
  readonly port: number;
}

async function listen(host: string, port = 0): Promise<Listening> {
  const server = createServer().listen(port, host);
  await once(server, "listening");
  return {
    server,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}
