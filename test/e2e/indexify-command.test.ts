import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { existsSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DoubleServer } from "../support/indexify/double-server.ts";
import { poll } from "../support/poll.ts";
import { freePort } from "../support/start-daemon.ts";

const SLOW_MS = 300_000;
/** This host in words that are not taken for it: a test opens nothing to others. */
const NOT_PLAINLY_LOCAL = "::ffff:127.0.0.1";
const program = fileURLToPath(new URL("../../dist/hearth.mjs", import.meta.url));

let folder: string;
let server: DoubleServer;
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-dataplane-"));
  server = new DoubleServer();
  await server.start();
});
afterAll(async () => {
  for (const child of children)
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});

interface Started {
  readonly child: ChildProcess;
  readonly monitorPort: number;
  readonly ended: Promise<number | string>;
  log(): string;
}

/** As the reference's own tests start it: one program, a file with keys that mean nothing any more, in a folder that all share. */
async function start(
  name: string,
  labels: string,
  args: readonly string[] = [],
  listen = "127.0.0.1",
): Promise<Started> {
  const [proxyPort, monitorPort] = [await freePort(), await freePort()];
  const file = join(folder, `${name}.yaml`);
  await writeFile(
    file,
    `env: local\nexecutor_id: ${name}\nserver_addr: http://${server.address}\ndriver: fork_exec\nstate_file: x.json\n` +
      `http_proxy: { port: ${proxyPort}, listen_addr: "${listen}" }\nmonitoring: { port: ${monitorPort} }\n` +
      `labels: { ${labels} }\nresource_overrides: { cpu_count: 4096, memory_bytes: 1073741824 }\n`,
  );
  const logFile = join(folder, `${name}.log`);
  const output = openSync(logFile, "a");
  const child = spawn(process.execPath, [program, "indexify", "--config", file, ...args], {
    cwd: folder,
    env: { ...process.env, HOME: folder },
    stdio: ["ignore", output, output],
  });
  children.push(child);
  const ended = new Promise<number | string>((resolve) => {
    child.once("exit", (status, signal) => resolve(status ?? signal ?? 1));
  });
  const log = (): string => readFileSync(logFile, "utf8");
  await poll(
    `${name} listens`,
    async () => {
      if (child.exitCode !== null) throw new Error(log().slice(-2000));
      const answer = await fetch(`http://127.0.0.1:${proxyPort}/`).catch(() => undefined);
      return answer?.status === 400 || "not yet";
    },
    90_000,
  );
  return { child, monitorPort, ended, log };
}

test.skipIf(!existsSync(program))(
  "the daemon stands in for the reference executor: its file, its flags, two of them in one folder, and a clean end",
  async () => {
    const one = await start("one", "region: eu", ["-f", "default:app:hello", "-f", "default:app:other:v2"]);
    const two = await start("two", "region: us", [], NOT_PLAINLY_LOCAL);
    await poll("both register", () => server.executors.size === 2 || String(server.executors.size));
    const state = server.executor("one").state;
    expect(state?.labels).toEqual({ region: "eu" });
    expect(state?.allowedFunctions).toMatchObject([
      { namespace: "default", applicationName: "app", functionName: "hello" },
      { functionName: "other", applicationVersion: "v2" },
    ]);
    // No more than there is, whatever the file says.
    expect(state?.totalContainerResources?.cpuCount).toBeLessThanOrEqual(availableParallelism());
    expect(state?.totalContainerResources?.memoryBytes).toBeLessThanOrEqual(1n << 30n);
    for (const { monitorPort, log } of [one, two]) {
      // The server knows it before it hears of that.
      await poll("it is well", async () => {
        const health = await fetch(`http://127.0.0.1:${monitorPort}/monitoring/health`);
        const text = await health.text();
        return (health.status === 200 && /^\{"status":"ok"/.test(text)) || text;
      });
      expect(log()).toContain("driver is no setting of the reference's");
      expect(log()).toContain("state_file is no setting of the reference's");
      expect(log()).toContain("indexify.resources-capped");
      expect(log().match(/indexify\.workers-unconfined/g)).toHaveLength(1);
    }
    // Of the proxy of the second alone.
    expect(one.log()).not.toContain("door.exposed");
    expect(two.log()).toMatch(/door\.exposed.*indexify\.proxy/);
    for (const { child } of [one, two]) child.kill("SIGTERM");
    expect(await Promise.all([one.ended, two.ended])).toEqual([0, 0]);
    // A farewell is not waited for at any price.
    await poll("both are known to have ended", () => server.executors.size === 0 || "not yet");
    expect(server.violations).toEqual([]);
  },
  SLOW_MS,
);
