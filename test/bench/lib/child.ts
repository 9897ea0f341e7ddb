import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

export interface BenchChild extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
}

/** Starts a program that prints `port N` once it listens. Disposing it ends it. */
export async function startChild(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<BenchChild> {
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...env },
  });
  const port = await portOf(child);
  return {
    port,
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      const escalate = setTimeout(() => child.kill("SIGKILL"), 5000);
      await ended;
      clearTimeout(escalate);
    },
  };
}

function portOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      const port = /^port (\d+)$/m.exec(text)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
    child.once("exit", (code) => reject(new Error(`the program ended with ${code} before it listened`)));
  });
}
