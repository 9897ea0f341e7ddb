import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Daemon, startDaemon } from "../../support/start-daemon.ts";

export interface Place {
  readonly host: string;
  readonly port: number;
}

/** The built daemon with the process driver and one warm task, `bench/echo`. */
export interface BenchDaemon extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
  readonly monitorUrl: string;
  /** Where the warm task itself listens. */
  readonly task: Place;
}

/** What the daemon is asked: the input within an execution request. */
export function executionRequest(input: string, id = "bench/echo"): string {
  return JSON.stringify({ id, resource: { cpu: 1, mem: 128 }, input });
}

export async function startBenchDaemon(more: Readonly<Record<string, string>> = {}): Promise<BenchDaemon> {
  const stateDir = await mkdtemp(join(tmpdir(), "hearth-bench-"));
  const folder = join(stateDir, "tasks", "bench-echo");
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, "task.json"),
    JSON.stringify({ id: "bench/echo", command: ["node", "main.mjs"] }),
  );
  await cp(fileURLToPath(new URL("echo-task.mjs", import.meta.url)), join(folder, "main.mjs"));
  let daemon: Daemon | undefined;
  try {
    const env = { HEARTH_DRIVER: "process", HEARTH_LOG_LEVEL: "error", ...more };
    daemon = await startDaemon({ stateDir, env });
    const told = await call(daemon.baseUrl, "where");
    return { ...atWork(daemon, stateDir), task: await findTask(told) };
  } catch (error) {
    await daemon?.[Symbol.asyncDispose]();
    await rm(stateDir, { recursive: true, force: true });
    throw error;
  }
}

function atWork(daemon: Daemon, stateDir: string): Omit<BenchDaemon, "task"> {
  return {
    pid: daemon.child.pid ?? 0,
    port: Number(new URL(daemon.baseUrl).port),
    monitorUrl: daemon.monitorUrl,
    async [Symbol.asyncDispose]() {
      await daemon[Symbol.asyncDispose]();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
}

/** Depending on the host a task has a network of its own, or shares the host's. */
async function findTask(told: string): Promise<Place> {
  const { port, addresses } = JSON.parse(told) as { port: number; addresses: string[] };
  for (const host of new Set([...addresses, "127.0.0.1"])) {
    const answer = await post(`http://${host}:${port}/`, "where").catch(() => undefined);
    if (answer === told) return { host, port };
  }
  throw new Error(`the task is at none of ${addresses.join(", ")}`);
}

async function call(url: string, input: string): Promise<string> {
  const { success, msg } = JSON.parse(await post(url, executionRequest(input))) as {
    success: boolean;
    msg: string;
  };
  if (!success) throw new Error(msg);
  return msg;
}

async function post(url: string, body: string): Promise<string> {
  const answer = await fetch(url, { method: "POST", body, signal: AbortSignal.timeout(30_000) });
  return await answer.text();
}
