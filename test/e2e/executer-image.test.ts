import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Scope } from "../../src/std/index.ts";
import { poll } from "../support/poll.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";
import { freePort, openPrivateRedis } from "../support/private-redis.ts";
import { rangeOf } from "../support/range-of.ts";
import type { ProgramEnd } from "../support/run-program.ts";
import { outputOf, runProgram } from "../support/run-program.ts";
import { startApi } from "../support/start-api.ts";
import { startDaemon } from "../support/start-daemon.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const program = join(root, "dist/hearth.mjs");
const sample = join(root, "examples/executer-busybox");
const OWNER = `executer-image-${process.pid}`;
const noEngine = whyNoEngine();

test.skipIf(noEngine !== undefined)(
  `I15: the whole loop on Docker, with the sample of busybox${noEngine === undefined ? "" : ` (needs docker: ${noEngine})`}`,
  async () => {
    await using scope = new Scope();
    const folder = mkdtempSync(join(tmpdir(), "hearth-image-"));
    scope.defer(
      async () => await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }),
    );
    for (const name of ["store", "work"]) mkdirSync(join(folder, name));
    const engine = scope.use(await openPrivateEngine());
    const dockerHost = `unix://${engine.socketPath}`;
    // As its README says: busybox beside the Dockerfile.
    cpSync(sample, join(folder, "sample"), { recursive: true });
    copyFileSync("/bin/busybox", join(folder, "sample/busybox"));
    await outputOf("docker", ["build", "-q", "-t", "executer-busybox", join(folder, "sample")], {
      env: { DOCKER_HOST: dockerHost, DOCKER_BUILDKIT: "0" },
      timeoutMs: 120_000,
    });
    const redis = scope.use(await openPrivateRedis());
    const port = await freePort();
    const config = [
      "driver: docker",
      `docker: { host: ${JSON.stringify(dockerHost)}, owner: ${OWNER}, network_range: ${rangeOf(OWNER, 20)}, networks_ahead: 1 }`,
      "drain_timeout_s: 3",
      `api: { port: ${port}, methods: [{ method: test.echo, executer_type: test }] }`,
      `stream: ${JSON.stringify({
        images_file: join(sample, "images.json"),
        methods_file: join(sample, "methods.json"),
        artifact_store: join(folder, "store"),
        shared_dir_local: join(folder, "work"),
        shared_dir_host: join(folder, "work"),
        api_url: `http://127.0.0.1:${port}`,
        metadata_host: "none",
        redis: { host: "127.0.0.1", port: redis.port },
      })}`,
    ].join("\n");
    const api = scope.use(await startApi(config, join(folder, "api"), port));
    const host = scope.use(await startDaemon({ config, stateDir: join(folder, "host") }));
    await poll("the host has registered", async () => {
      const queue = await host.cli("queue", "list", "--json").catch(String);
      return queue.includes("test_requests") || `${queue}\n${host.log().slice(-2000)}`;
    });
    const hearth = (...args: string[]): Promise<ProgramEnd> =>
      runProgram(process.execPath, [program, ...args], {
        cwd: folder,
        env: { HEARTH_API_URL: api.baseUrl, HEARTH_HOST: host.baseUrl },
      });
    const echo = await hearth("submit", "test.echo", "-p", "word=hello", "-o", "out", "--json");
    expect(echo.code, `${echo.stdout}${echo.stderr}${host.log().slice(-3000)}`).toBe(0);
    expect(JSON.parse(readFileSync(join(folder, "out/artifacts/input.json"), "utf8"))).toEqual({
      word: "hello",
    });
    expect(readFileSync(join(folder, "out/artifacts/stdout.txt"), "utf8")).toBe('{"word":"hello"}');
    const slept = await hearth("submit", "test.sleep", "-p", "seconds=1", "-o", "slept");
    expect(slept.code, slept.stderr).toBe(0);
    expect(slept.stdout).toContain("slept 1 of 1 s");
    expect(JSON.parse(readFileSync(join(folder, "slept/output.json"), "utf8"))).toEqual([1]);
  },
  300_000,
);
