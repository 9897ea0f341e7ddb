import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { BASE_IMAGE, buildOwnImage } from "../support/own-image.ts";
import { poll } from "../support/poll.ts";
import type { PrivateEngine } from "../support/private-engine.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";
import { outputOf, runProgram } from "../support/run-program.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const reason = whyNoEngine();

/** The documented address is 172.18.0.255; a test takes a range that is less likely to be in use on this machine. */
const SUBNET = "172.31.240.0/24";
const ADDRESS = "172.31.240.250";

describe.skipIf(reason !== undefined)(
  `the container image${reason === undefined ? "" : ` (needs docker: ${reason})`}`,
  () => {
    let engine: PrivateEngine;
    let folder: string;

    const docker = (...args: string[]) =>
      outputOf("docker", args, {
        env: { DOCKER_HOST: `unix://${engine.socketPath}`, DOCKER_BUILDKIT: "0" },
        timeoutMs: 120_000,
      });
    const runDaemon = (...args: string[]) =>
      docker("run", "-d", "-v", `${engine.socketPath}:/var/run/docker.sock`, ...args);

    beforeAll(async () => {
      // With rules of its own: another engine of this machine may have set the host to drop what containers send each other.
      engine = await openPrivateEngine({ iptables: true });
      folder = await mkdtemp(join(tmpdir(), "hearth-image-"));
      await buildOwnImage(`unix://${engine.socketPath}`, "mecanywhere-executor");
      const base = ["--build-arg", `BASE=${BASE_IMAGE}`];
      await docker("build", "-q", "-t", "echo", ...base, join(root, "examples/echo"));
      await docker("network", "create", `--subnet=${SUBNET}`, "mecanywhere");
    }, 240_000);

    afterAll(async () => {
      await engine[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    }, 180_000);

    test("M25: on a user network with a fixed address it answers, runs tasks beside itself, and stops cleanly", async () => {
      const config = join(folder, "mecanywhere_executor.yaml");
      await writeFile(config, "type: docker\ntimeout: 2\ncpu: 1.5\nmem: 300\nhas_gpu: false\n");
      const container = await runDaemon(
        "--net=mecanywhere",
        `--ip=${ADDRESS}`,
        "-v",
        `${config}:/app/mecanywhere_executor.yaml:ro`,
        "mecanywhere-executor",
      );
      const base = `http://${ADDRESS}:2591`;
      await untilHealthy(base, () => docker("logs", container));

      expect(JSON.parse(await (await fetch(`${base}/stats`)).text())).toMatchObject({
        task_cpu: 1.5,
        task_mem: 300,
      });
      expect(await call(base, "in a container")).toBe(
        '{\n    "success": true,\n    "msg": "in a container"\n}',
      );
      expect(await docker("exec", container, "hearth", "ps")).toMatch(/ echo +hot /);
      expect(await docker("exec", container, "hearth", "doctor", "--quick")).toBe("well");
      const monitor = `http://${ADDRESS}:7000`;
      expect(await (await fetch(`${monitor}/monitoring/startup`)).text()).toBe('{"status":"ok"}');
      expect(await (await fetch(`${monitor}/state/reported`)).text()).toContain("\nenvironment=container\n");

      const stopped = (await (await fetch(`${base}/stop`, { method: "POST" })).json()) as {
        success: boolean;
      };
      expect(stopped.success).toBe(true);
      expect(await docker("wait", container)).toBe("0");
      expect(await docker("ps", "-aq", "--filter", "label=hearth.owner")).toBe("");
    }, 240_000);

    test("M25: through a published port it answers, and `docker stop` ends it within its ten seconds", async () => {
      await docker("network", "create", "--subnet=172.31.241.0/24", "elsewhere");
      const port = await freePort();
      const container = await runDaemon(
        "--net=elsewhere",
        "-p",
        `127.0.0.1:${port}:2591`,
        "mecanywhere-executor",
      );
      const base = `http://127.0.0.1:${port}`;
      await untilHealthy(base, () => docker("logs", container));
      expect(await call(base, "published")).toBe('{\n    "success": true,\n    "msg": "published"\n}');

      await docker("stop", container);
      expect(await docker("inspect", "-f", "{{.State.ExitCode}}", container)).toBe("0");
      expect(await docker("ps", "-aq", "--filter", "label=hearth.owner")).toBe("");
    }, 240_000);

    test("a wrong setting ends the container at once, and says which", async () => {
      const end = await runProgram(
        "docker",
        ["run", "--rm", "-e", "HEARTH_CPU=many", "mecanywhere-executor"],
        {
          env: { DOCKER_HOST: `unix://${engine.socketPath}` },
        },
      );
      expect(end.code).toBe(2);
      expect(end.stderr + end.stdout).toContain("HEARTH_CPU");
    });
  },
);

async function call(base: string, input: string): Promise<string> {
  const answer = await fetch(base, { method: "POST", body: JSON.stringify({ id: "echo", input }) });
  return await answer.text();
}

async function untilHealthy(base: string, log: () => Promise<string>): Promise<void> {
  await poll(
    "the daemon in the container is well",
    async () => (await status(`${base}/health`)) === 200 || (await log()),
    90_000,
  );
}

/** The status of an answer, 0 when there is none. */
function status(url: string): Promise<number> {
  return new Promise((resolve) => {
    const probe = request(url, { timeout: 2000 }, (answer) => {
      answer.resume().once("end", () => resolve(answer.statusCode ?? 0));
    });
    probe.once("timeout", () => probe.destroy());
    probe.once("error", () => resolve(0));
    probe.end();
  });
}
