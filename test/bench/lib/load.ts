import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface LoadOptions {
  readonly host: string;
  readonly port: number;
  readonly body: string;
  readonly connections: number;
  readonly seconds: number;
}

export interface LoadResult {
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Answers other than 2xx, and connections that broke. */
  readonly errors: number;
}

/** What makes the load, for the record: `wrk` if it is installed, as it is cheap; otherwise our own. */
export const generator: "wrk" | "node" = spawnSync("wrk", ["-v"]).error === undefined ? "wrk" : "node";

/** Sends `POST /` in closed loops, one for each connection, from another process. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  return generator === "wrk" ? await loadByWrk(options) : await loadByNode(options);
}

async function loadByWrk({ host, port, body, connections, seconds }: LoadOptions): Promise<LoadResult> {
  const folder = mkdtempSync(join(tmpdir(), "hearth-bench-"));
  try {
    const script = join(folder, "post.lua");
    // Without functions of its own wrk builds the request once and never enters Lua again.
    writeFileSync(
      script,
      `wrk.method = "POST"\nwrk.body = ${luaString(body)}\nwrk.headers["Content-Type"] = "application/json"\n
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %f %f %f %d\\n", summary.requests / summary.duration * 1e6, latency:percentile(50),
    latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end\n`,
    );
    const text = await output("wrk", [
      "-t1",
      `-c${connections}`,
      `-d${seconds}s`,
      "-s",
      script,
      `http://${host}:${port}/`,
    ]);
    return parse(text);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function loadByNode(options: LoadOptions): Promise<LoadResult> {
  const script = fileURLToPath(new URL("load-process.mjs", import.meta.url));
  return parse(await output(process.execPath, [script, JSON.stringify(options)]));
}

function parse(text: string): LoadResult {
  const [, ...figures] = /^RESULT (\S+) (\S+) (\S+) (\d+)$/m.exec(text) ?? [];
  const [perSecond, p50Us, p99Us, errors] = figures.map(Number);
  if (perSecond === undefined || p50Us === undefined || p99Us === undefined || errors === undefined) {
    throw new Error(`the load generator said:\n${text}`);
  }
  return { perSecond, p50Us, p99Us, errors };
}

function luaString(text: string): string {
  return `"${[...Buffer.from(text)].map((byte) => `\\${String(byte).padStart(3, "0")}`).join("")}"`;
}

function output(file: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(file, args, { timeout: 120_000 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${file} failed: ${stderr}`, { cause: error }));
    });
  });
}
