import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { poll } from "./poll.ts";
import { outputOf } from "./run-program.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const program = join(root, "dist/hearth.mjs");

/** The built web API as a process of its own, on loopback. Disposing it ends it. */
export interface WebApi extends AsyncDisposable {
  readonly baseUrl: string;
  log(): string;
  /** Ends it at once, as a power cut would; `start` begins its next life. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

/** @param config text of the configuration file, with `port` in it. */
export async function startApi(config: string, stateDir: string, port: number): Promise<WebApi> {
  if (!existsSync(program))
    await outputOf(process.execPath, ["scripts/build.mjs", "--no-types"], { cwd: root });
  mkdirSync(stateDir, { recursive: true });
  const file = join(stateDir, "hearth.yaml");
  const logFile = join(stateDir, "log");
  writeFileSync(file, config);
  const baseUrl = `http://127.0.0.1:${port}`;
  const log = (): string => readFileSync(logFile, "utf8");
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const output = openSync(logFile, "a");
    const one = spawn(process.execPath, [program, "api", "--config", file, "--state-dir", stateDir], {
      stdio: ["ignore", output, output],
    });
    child = one;
    await poll("the API answers", async () => {
      if (one.exitCode !== null) throw new Error(`the API ended: ${log().slice(-2000)}`);
      const answer = await fetch(`${baseUrl}/tasks`).catch(() => undefined);
      return answer?.status === 403 || String(answer?.status);
    });
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const one = child;
    child = undefined;
    if (one === undefined || one.exitCode !== null || one.signalCode !== null) return;
    const ended = new Promise((resolve) => one.once("exit", resolve));
    one.kill(signal);
    const escalate = setTimeout(() => one.kill("SIGKILL"), 10_000);
    await ended;
    clearTimeout(escalate);
  };
  await start();
  return { baseUrl, log, kill: () => end("SIGKILL"), start, [Symbol.asyncDispose]: () => end("SIGTERM") };
}
