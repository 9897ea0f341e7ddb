import { closeSync, openSync } from "node:fs";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ExecutorError, SandboxDriver } from "../../src/core/index.ts";
import { wasKilledForMemory } from "../../src/drivers/docker/container/kernel-log.ts";
import { pauseImage } from "../../src/drivers/docker/network/pause-image.ts";
import { postOverHttp } from "../conformance/sandbox-driver/harness.ts";
import { never, openDockerWorld, startTask } from "../support/docker-world.ts";
import { buildTaskImage, importImage, inOnePiece, taskFiles } from "../support/images.ts";
import { poll } from "../support/poll.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";

const reason = whyNoEngine();
const KERNEL_LOG = "/dev/kmsg";
const SERVE = "exec nc -ll -p 8080 -e /handler";

/** Not to whoever is no root, or in a container. */
function isReadable(path: string): boolean {
  try {
    closeSync(openSync(path, "r"));
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(reason !== undefined)(reason ?? "tasks that do not come up", () => {
  const closing: AsyncDisposable[] = [];
  let docker: Docker;
  let driver: SandboxDriver;
  let remains: () => Promise<readonly string[]>;

  beforeAll(async () => {
    const engine = await openPrivateEngine();
    closing.push(engine);
    docker = new Docker({ socketPath: engine.socketPath });
    const world = openDockerWorld(engine.socketPath);
    closing.push(world);
    remains = () => world.remains();
    driver = await world.open({ networksAhead: 2 });
  }, 240_000);
  afterAll(async () => {
    for (const resource of closing.reverse()) await resource[Symbol.asyncDispose]();
  });

  /** A start whose deadline is far away: what ends early must be told early. */
  async function fails(image: string, startTimeoutMs = 60_000): Promise<ExecutorError> {
    const error = await startTask(driver, image, { startTimeoutMs }).then(
      () => Promise.reject(new Error("it started")),
      (thrown: unknown) => thrown as ExecutorError,
    );
    await poll("nothing is left of it", async () => {
      const left = (await remains()).filter((name) => name.startsWith("mecanywhere_"));
      return left.length === 0 ? true : left.join();
    });
    return error;
  }

  test("D5: the kernel names the container whose process it killed for want of memory, and no other", async () => {
    const image = await buildTaskImage(docker, "starved", { main: 'eval "$DOES"' });
    const run = async (does: string): Promise<string> => {
      const container = await docker.createContainer({
        ...{ Image: image, Env: [`DOES=${does}`] },
        HostConfig: { Memory: 32 * 1024 * 1024, MemorySwap: 32 * 1024 * 1024, NetworkMode: "none" },
      });
      await container.start();
      await container.wait();
      await container.remove();
      return container.id;
    };
    expect(await wasKilledForMemory(await run("tail /dev/zero"))).toBe(isReadable(KERNEL_LOG));
    expect(await wasKilledForMemory(await run("kill -KILL $$"))).toBe(false);
  });

  test.each([
    ["exit0", "echo bye; exit 0", { exitCode: 0, logTail: "bye\n" }],
    ["exit1", "echo bye >&2; exit 1", { exitCode: 1, logTail: "bye\n" }],
    ["exit42", "echo meca-init-done; sleep 0.2; exit 42", { exitCode: 42 }],
    ["segv", "kill -SEGV $$; sleep 1", { signal: "SIGSEGV" }],
    ["hungry", "tail /dev/zero; exit 137", { reason: "it needed more memory than its 64 MB" }],
  ])(
    "M27, D5: %s ends before it is ready, and is told at once with its last words",
    async (name, main, facts) => {
      const error = await fails(await buildTaskImage(docker, name, { main }));
      expect(error.code).toBe("SANDBOX_EXITED_EARLY");
      expect(error.facts).toMatchObject(facts);
    },
  );

  test.each([
    ["nocommand", [], /command/i],
    ["missing", ["/no/such/program"], /no such file|does not exist/i],
    ["folder", ["/tmp"], /cannot be executed|permission denied|is a directory/i],
    ["notexecutable", ["/data"], /cannot be executed|permission denied/i],
  ])("C10: an image whose program is %s cannot be used, and says why", async (name, command, words) => {
    const image = `hearth-test/${name}:1`;
    const files = await taskFiles({ main: SERVE });
    const data = { path: "data", content: Buffer.from("text"), mode: 0o644 };
    await importImage(docker, image, [...files, data], command);
    const error = await fails(image);
    expect(error.code).toBe("IMAGE_UNUSABLE");
    expect(error.message).toMatch(words);
  });

  test("C10: an image for another machine cannot be used, and says why", async () => {
    const foreign = process.arch === "arm64" ? "amd64" : "arm64";
    // Any image with a program of that machine will do.
    const { name: image, archive } = pauseImage(foreign);
    for await (const _ of await docker.loadImage(inOnePiece(archive))) {
      // Only its end matters.
    }
    const error = await fails(image);
    expect(error.code).toBe("IMAGE_UNUSABLE");
    expect(error.message).toContain(foreign);
  });

  test("D4: a port that opens late, within the time, is a slow start and no failure", async () => {
    const image = await buildTaskImage(docker, "late", { main: `echo meca-init-done; sleep 2; ${SERVE}` });
    const sandbox = await startTask(driver, image);
    expect(await postOverHttp(sandbox, "x")).toEqual({ status: 200, body: "x" });
    await sandbox.stop(0);
  });

  test("D4: at the deadline the error has the last 4 KiB of the log", async () => {
    const main = "yes 0123456789 | head -c 100000; echo; echo the end; sleep 100";
    const error = await fails(await buildTaskImage(docker, "talker", { main }), 10_000);
    expect(error.code).toBe("START_TIMEOUT");
    const tail = String(error.facts["logTail"]);
    expect(tail.endsWith("the end\n")).toBe(true);
    expect(Buffer.byteLength(tail)).toBeLessThanOrEqual(4096);
  });

  test("D8: a log without an end is capped on disk, and its tail can be read all the time", async () => {
    const main = "echo meca-init-done; yes 0123456789 & exec nc -ll -p 8080 -e /handler";
    const sandbox = await startTask(driver, await buildTaskImage(docker, "flood", { main }));
    await poll("more than the cap has been written", async () => {
      const { text, isTruncated } = await sandbox.tailLog(1000, never());
      return (isTruncated && text.includes("0123456789")) || "not yet";
    });
    const heard: number[] = [];
    for await (const chunk of sandbox.followLog(1000, never())) {
      heard.push(Buffer.byteLength(chunk.text));
      if (heard.length > 100) break;
    }
    expect(heard.length).toBeGreaterThan(100);
    await sandbox.stop(0);
  });

  test("E6: memory below what an engine takes is refused by the field's name, and nothing is made", async () => {
    const image = await buildTaskImage(docker, "tiny", { main: `echo meca-init-done; ${SERVE}` });
    const resources = { cpuMillis: 100, memoryBytes: 1_048_576, gpuCount: 0, gpuMemoryBytes: 0 };
    await expect(startTask(driver, image, { task: { resources } })).rejects.toMatchObject({
      code: "INPUT_INVALID",
      message: expect.stringContaining("mem") as string,
    });
    // At the engine's own least the runtime's first steps may already be too much; then that is what is said.
    const least = { ...resources, memoryBytes: 6 * 1_048_576 };
    const outcome = await startTask(driver, image, { task: { resources: least } }).then(
      async (sandbox) => await sandbox.stop(0).then(() => "started"),
      (error: unknown) => String(error),
    );
    expect(outcome).toMatch(/^started$|6 MB/);
  });
});
