import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { freePort } from "../support/private-redis.ts";
import { runProgram } from "../support/run-program.ts";
import { startDaemon } from "../support/start-daemon.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("docs/jobs.md: every command runs as it is written, from an empty folder to a stopped daemon", async () => {
  // Only for its build: `npm run check` has built, a test run by hand may not have.
  await (await startDaemon({ env: { HEARTH_DRIVER: "process" } }))[Symbol.asyncDispose]();
  const folder = mkdtempSync(join(tmpdir(), "hearth-doc-"));
  try {
    writeFileSync(
      join(folder, "hearth"),
      `#!/bin/sh\nexec "${process.execPath}" "${root}/dist/hearth.mjs" "$@"\n`,
      { mode: 0o755 },
    );
    symlinkSync(join(root, "examples"), join(folder, "examples"));
    const apiPort = String(await freePort());
    const page = readFileSync(join(root, "docs/jobs.md"), "utf8");
    const commands = await onThisMachine(page, folder, apiPort);
    const script = join(folder, "walk.sh");
    // Background jobs have numbers only where a shell keeps them; a host that has just begun is not registered yet.
    writeFileSync(
      script,
      `set -eum\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n${commands.join("\n")}\n`,
    );
    const { code, stdout, stderr } = await runProgram("bash", [script], {
      cwd: folder,
      env: {
        PATH: `${folder}:${process.env["PATH"] ?? ""}`,
        HEARTH_API_URL: `http://127.0.0.1:${apiPort}`,
        HEARTH_HTTP_PORT: String(await freePort()),
        HEARTH_MONITOR_PORT: String(await freePort()),
        HEARTH_PROCESS_NETWORK: "host",
      },
      timeoutMs: 120_000,
    });
    const logs = ["api.log", "serve.log"].map((name) => read(join(folder, "jobs", name))).join("\n");
    expect(code, `${stdout}\n${stderr}\n${logs.slice(-4000)}`).toBe(0);
    expect(stdout).toContain("[5.5]");
    expect(stdout).toContain("product.npy");
    expect(stdout).toContain('"method_name":"test.sleep"');
    expect(stdout).toMatch(/"status":"(killed|pending-kill)"/);
  } finally {
    endRedis(join(folder, "jobs/redis.pid"));
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}, 180_000);

/** The commands of the page, with ports and a folder that nobody else has. */
async function onThisMachine(page: string, folder: string, apiPort: string): Promise<string[]> {
  const redisPort = String(await freePort());
  const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, text = ""]) => text);
  expect(blocks.length).toBeGreaterThan(5);
  return blocks.map((text) =>
    text
      .replaceAll("/tmp/hearth-jobs", join(folder, "jobs"))
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
