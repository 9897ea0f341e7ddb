import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { freePort } from "./private-redis.ts";
import type { ProgramEnd } from "./run-program.ts";
import { runProgram } from "./run-program.ts";
import { startDaemon } from "./start-daemon.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

export interface Walk {
  /** Whose `sh` blocks are run, from the root of the checkout. */
  readonly page: string;
  /** Where they are run: it has `examples/` as a checkout has. */
  readonly folder: string;
  /** The folder that the page works in; here it is `jobs` in the folder. */
  readonly place: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs every command of a page about jobs as it is written, but with ports and a folder that nobody else has; ends its Redis. */
export async function walkPage({ page, folder, place, env }: Walk): Promise<ProgramEnd> {
  // Only for its build: `npm run check` has built, a test run by hand may not have.
  await (await startDaemon({ env: { HEARTH_DRIVER: "process" } }))[Symbol.asyncDispose]();
  writeFileSync(
    join(folder, "hearth"),
    `#!/bin/sh\nexec "${process.execPath}" "${root}/dist/hearth.mjs" "$@"\n`,
    { mode: 0o755 },
  );
  const apiPort = String(await freePort());
  const commands = await onThisMachine(readFileSync(join(root, page), "utf8"), place, folder, apiPort);
  const script = join(folder, "walk.sh");
  // Background jobs have numbers only where a shell keeps them.
  writeFileSync(
    script,
    `set -eum\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n${commands.join("\n")}\n`,
  );
  try {
    const end = await runProgram("bash", [script], {
      cwd: folder,
      env: {
        PATH: `${folder}:${process.env["PATH"] ?? ""}`,
        HEARTH_API_URL: `http://127.0.0.1:${apiPort}`,
        HEARTH_HTTP_PORT: String(await freePort()),
        HEARTH_MONITOR_PORT: String(await freePort()),
        ...env,
      },
      timeoutMs: 240_000,
    });
    const logs = ["api.log", "serve.log"].map((name) => read(join(folder, "jobs", name))).join("\n");
    expect(end.code, `${end.stdout}\n${end.stderr}\n${logs.slice(-4000)}`).toBe(0);
    return end;
  } finally {
    endRedis(join(folder, "jobs/redis.pid"));
  }
}

async function onThisMachine(
  page: string,
  place: string,
  folder: string,
  apiPort: string,
): Promise<string[]> {
  const redisPort = String(await freePort());
  const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, text = ""]) => text);
  expect(blocks.length).toBeGreaterThan(1);
  return blocks.map((text) =>
    text
      .replaceAll(place, join(folder, "jobs"))
      .replaceAll("6379", redisPort)
      .replaceAll("127.0.0.1:8000", `127.0.0.1:${apiPort}`)
      .replace(/^hearth api /m, `hearth api --api-port ${apiPort} `),
  );
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** The page starts it as a daemon; where the walk broke off, nothing has ended it. It removes the file when it ends. */
function endRedis(pidFile: string): void {
  const pid = Number(read(pidFile));
  if (pid > 1) process.kill(pid, "SIGKILL");
}
