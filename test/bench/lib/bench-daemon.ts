import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Daemon, startDaemon } from "../../support/start-daemon.ts";

/** The built daemon with the process driver and one warm task, `bench/echo`. */
export interface BenchDaemon extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
  /** Where the warm task itself listens. */
  readonly taskPort: number;
}

/** What the daemon is asked: the input within an execution request. */
export function executionRequest(input: string, id = "bench/echo"): string {
  return JSON.stringify({ id, resource: { cpu: 1, mem: 128 }, input });
}

export async function startBenchDaemon(): Promise<BenchDaemon> {
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
    daemon = await startDaemon({ stateDir, env: { HEARTH_DRIVER: "process", HEARTH_LOG_LEVEL: "error" } });
    const taskPort = Number(await call(daemon.baseUrl, "port"));
    if (!(taskPort > 0)) throw new Error(`the task did not tell its port: ${daemon.log()}`);
    return { ...atWork(daemon, stateDir), taskPort };
  } catch (error) {
    await daemon?.[Symbol.asyncDispose]();
    await rm(stateDir, { recursive: true, force: true });
    throw error;
  }
}

function atWork(daemon: Daemon, stateDir: string): Omit<BenchDaemon, "taskPort"> {
  return {
    pid: daemon.child.pid ?? 0,
    port: Number(new URL(daemon.baseUrl).port),
    async [Symbol.asyncDispose]() {
      await daemon[Symbol.asyncDispose]();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
}

async function call(url: string, input: string): Promise<string> {
  const answer = await fetch(url, {
    method: "POST",
    body: executionRequest(input),
    signal: AbortSignal.timeout(30_000),
  });
  const { success, msg } = (await answer.json()) as { success: boolean; msg: string };
  if (!success) throw new Error(msg);
  return msg;
}
