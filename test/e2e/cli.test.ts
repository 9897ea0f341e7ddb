import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { poll } from "../support/poll.ts";
import { runProgram } from "../support/run-program.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { startDaemon } from "../support/start-daemon.ts";

const program = fileURLToPath(new URL("../../dist/hearth.mjs", import.meta.url));

let daemon: Daemon;
beforeAll(async () => {
  daemon = await startDaemon({ env: { HEARTH_DRIVER: "process" } });
});
afterAll(() => daemon[Symbol.asyncDispose]());

/** A task that answers with its input, and dies of one. */
const MORTAL = `
import { createServer } from "node:http";
const server = createServer(async (request, response) => {
  let input = "";
  for await (const chunk of request) input += chunk;
  if (!input.includes("die")) return response.end(input);
  process.stdout.write("I die of die\\n", () => process.exit(3));
});
server.listen(Number(process.env.PORT ?? "8080"), () => process.stdout.write("meca-init-done\\n"));
`;

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<number | string>;
  out(): string;
  err(): string;
}

/** The built program against the daemon of this file, as a shell would start it. */
function start(...args: string[]): Running {
  const env = { ...process.env, HEARTH_HOST: daemon.baseUrl };
  const child = spawn(process.execPath, [program, ...args], { env, stdio: ["pipe", "pipe", "pipe"] });
  const text = { out: "", err: "" };
  child.stdout.on("data", (chunk: Buffer) => {
    text.out += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    text.err += chunk.toString();
  });
  const ended = new Promise<number | string>((resolve) => {
    child.once("close", (code, signal) => resolve(code ?? signal ?? "none"));
  });
  return { child, ended, out: () => text.out, err: () => text.err };
}

test("a task that task new wrote can be called at once, from a pipe too", async () => {
  const folder = join(daemon.stateDir, "tasks/hello");
  await daemon.cli("task", "new", "hello", "--dir", folder);
  expect(await daemon.cli("task", "list", "--quiet")).toContain("hello");
  expect(await daemon.cli("call", "hello", "world")).toBe("hello world");
  const piped = start("call", "hello", "-i", "-");
  piped.child.stdin?.end("pipe");
  expect(await piped.ended).toBe(0);
  expect(piped).toMatchObject({ out: expect.any(Function) });
  expect(piped.out()).toBe("hello pipe\n");
});

test("while a task starts, the reason for the wait is on standard error; Ctrl-C ends the wait with 130", async () => {
  const folder = join(daemon.stateDir, "tasks/never-ready");
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, "task.json"),
    JSON.stringify({ id: "never-ready", command: ["sleep", "1000"] }),
  );
  const waiting = start("call", "never-ready", "x");
  waiting.child.stdin?.end();
  await poll("it says what it waits for", () => waiting.err().includes("never-ready:") || waiting.err());
  waiting.child.kill("SIGINT");
  expect(await waiting.ended).toBe(130);
  expect(waiting.out()).toBe("");
});

test("a call that was not waited for can be fetched later", async () => {
  const id = await daemon.cli("call", "echo", "later", "--detach");
  expect(await daemon.cli("answer", id)).toBe("later");
  expect(await daemon.cli("runs", "--quiet")).toContain(id);
  const none = start("answer", "00000000000000000000000000");
  expect(await none.ended).toBe(127);
});

test("logs follow a task until it is evicted", async () => {
  await daemon.cli("call", "echo", "1");
  const followed = start("logs", "-f", "echo");
  await poll("the log is there", () => followed.out().includes("meca-init-done") || followed.err());
  expect(await daemon.cli("evict", "echo")).toMatch(/^[a-z0-9]{26}$/);
  expect(await followed.ended).toBe(0);
});

test("a task that died is asked for by its name and by the beginning of its id; another one that lives comes first", async () => {
  const folder = join(daemon.stateDir, "tasks/mortal");
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, "task.json"),
    JSON.stringify({ id: "some/mortal", command: ["node", "main.mjs"] }),
  );
  await writeFile(join(folder, "main.mjs"), MORTAL);
  const dies = start("call", "some/mortal", "die");
  dies.child.stdin?.end();
  expect(await dies.ended).not.toBe(0);
  await poll("it is gone", async () => {
    const listed = await daemon.cli("ps", "--json");
    return !listed.includes("some/mortal") || listed;
  });
  const told: { text: string; sandboxId: string } = JSON.parse(
    await daemon.cli("logs", "some/mortal", "--json"),
  );
  expect(told).toMatchObject({ text: expect.stringContaining("I die of die"), hasEnded: true });
  const { sandboxId } = told;
  const byBeginning = start("logs", sandboxId.slice(0, 25), "--tail", "1");
  expect(await byBeginning.ended).toBe(0);
  expect([byBeginning.out(), byBeginning.err()]).toEqual([
    "I die of die\n",
    `hearth: ${sandboxId} has ended; this is what it printed last\n`,
  ]);
  const followed = start("logs", "-f", "some/mortal");
  expect([await followed.ended, followed.out().includes("I die of die")]).toEqual([0, true]);

  expect(await daemon.cli("call", "some/mortal", "live")).toBe("live");
  expect(JSON.parse(await daemon.cli("logs", "some/mortal", "--json"))).toMatchObject({ hasEnded: false });
  expect(await daemon.cli("logs", sandboxId, "--tail", "1")).toBe("I die of die");
});

test("a reader that goes away ends the program quietly", async () => {
  const printing = start("openapi");
  printing.child.stdout?.destroy();
  expect(await printing.ended).toBe(0);
  expect(printing.err()).toBe("");
});

test("a reader that goes away while nothing happens ends a command that follows, too", async () => {
  await daemon.cli("pause");
  await daemon.cli("unpause");
  const env = { HEARTH_HOST: daemon.baseUrl };
  const piped = `"${process.execPath}" "${program}" events --recent 1 | head -n 1`;
  const { code, stdout } = await runProgram("sh", ["-c", piped], { env });
  expect([code, stdout.split("\n").length]).toEqual([0, 2]);
});

test("settings change while the daemon runs, all or none, and pause stops calls", async () => {
  expect(await daemon.cli("config", "set", "timeout=3", "tasks.slots=7")).toBe(
    "timeout = 3\ntasks.slots = 7",
  );
  const refused = start("config", "set", "timeout=4", "cpu=-1", "http.port=1");
  expect(await refused.ended).toBe(2);
  expect(refused.err()).toContain("cpu: expected");
  expect(refused.err()).toContain("http.port: this cannot change");
  expect(await daemon.cli("config", "get", "timeout")).toBe("3");
  expect(await daemon.cli("pause")).toBe("paused");
  const call = start("call", "echo", "x");
  expect(await call.ended).toBe(4);
  expect(await daemon.cli("unpause", "--quiet")).toBe("");
  expect(await daemon.cli("call", "echo", "again")).toBe("again");
  expect(JSON.parse(await daemon.cli("stats", "--json"))).toMatchObject({
    task_gpu: 0,
    host: { state: "running" },
  });
});

test("doctor finds something to say about this host without a daemon", async () => {
  const report: unknown = JSON.parse(await daemon.cli("doctor", "--json"));
  expect(report).toMatchObject({ isAble: true });
  expect(await daemon.cli("doctor", "--quick")).toBe("well");
});
