/** A real engine that is told that it has NVIDIA's hook (`nvidia-hook.ts`): nothing here has seen a real GPU. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Sandbox, SandboxDriver, SandboxSpec } from "../../src/core/index.ts";
import { tar } from "../../src/drivers/docker/network/tar.ts";
import { postOverHttp } from "../conformance/sandbox-driver/harness.ts";
import type { DockerWorld } from "../support/docker-world.ts";
import { never, openDockerWorld, SMALL_TASK, specOf } from "../support/docker-world.ts";
import { inOnePiece, taskFiles } from "../support/images.ts";
import type { NvidiaHook } from "../support/nvidia-hook.ts";
import { openNvidiaHook } from "../support/nvidia-hook.ts";
import { poll } from "../support/poll.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";

const reason = whyNoEngine();
const IMAGE = "hearth-test/gpu:1";
const [A, B] = ["GPU-aaaaaaaa-1111-2222-3333-444444444444", "GPU-bbbbbbbb-1111-2222-3333-444444444444"];

/** Serves, and answers with what it sees; like the usual images for GPUs it asks for all cards by itself. */
async function buildImage({ docker }: DockerWorld): Promise<void> {
  const files = await taskFiles({
    main: "exec nc -ll -p 8080 -e /handler",
    reply: "body=$NVIDIA_VISIBLE_DEVICES",
  });
  const stream = await docker.importImage(inOnePiece(tar(files)), {
    repo: "hearth-test/gpu",
    tag: "1",
    changes: ['CMD ["/bin/sh", "/main"]', "ENV NVIDIA_VISIBLE_DEVICES=all"],
  });
  for await (const chunk of stream) expect(String(chunk)).not.toContain('"error"');
}

async function start(
  driver: SandboxDriver,
  gpuIds: readonly string[],
  gpuCount = gpuIds.length,
): Promise<Sandbox> {
  const image = await driver.resolve(IMAGE, { refresh: "missing" }, never());
  const resources = { ...SMALL_TASK, gpuCount };
  const spec: SandboxSpec = { ...specOf(IMAGE, image, { task: { resources } }), gpuIds };
  return await driver.start(spec, never());
}

/** `NVIDIA_VISIBLE_DEVICES` as the task's own program has it. */
async function seen(sandbox: Sandbox): Promise<string> {
  return (await postOverHttp(sandbox, "")).body;
}

async function containerOf({ docker }: DockerWorld, { id }: Sandbox): Promise<string> {
  const rows = await docker.listContainers({ filters: { label: [`hearth.sandbox=${id}`] } });
  return rows[0]?.Id ?? "none";
}

async function nothingLeft(world: DockerWorld): Promise<void> {
  await poll("nothing is left of it", async () => {
    const left = (await world.remains()).filter((name) => name.startsWith("mecanywhere_"));
    return left.length === 0 ? true : left.join();
  });
}

describe.skipIf(reason !== undefined)(reason ?? "cards for containers", () => {
  const closing: AsyncDisposable[] = [];
  let hook: NvidiaHook;
  let world: DockerWorld;

  beforeAll(async () => {
    hook = await openNvidiaHook();
    const engine = await openPrivateEngine({ env: hook.env });
    world = openDockerWorld(engine.socketPath);
    closing.push(hook, engine, world);
    await buildImage(world);
  }, 240_000);
  afterAll(async () => {
    for (const resource of closing.reverse()) await resource[Symbol.asyncDispose]();
  });

  test("M23: a container gets exactly the cards that it was given, and the next life books the very same", async () => {
    const networkRange = "10.198.0.0/20";
    const driver = await world.open({ networkRange });
    const sandbox = await start(driver, [A, B]);
    const id = await containerOf(world, sandbox);
    const facts = await world.docker.getContainer(id).inspect();
    expect(facts.HostConfig.DeviceRequests).toMatchObject([
      { Driver: "nvidia", Count: 0, DeviceIDs: [A, B], Capabilities: [["gpu"]] },
    ]);
    expect(hook.asked(id)).toBe(`${A},${B}`);
    expect(await seen(sandbox)).toBe(`${A},${B}`);
    await driver[Symbol.asyncDispose]();

    const next = await world.open({ networkRange });
    const [leftover] = await next.leftovers(never());
    expect(leftover).toMatchObject({ gpuIds: [A, B], task: { resources: { gpuCount: 2 } } });
    if (leftover === undefined) throw new Error("it was not found");
    const adopted = await leftover.adopt(never());
    expect(await seen(adopted)).toBe(`${A},${B}`);
    await adopted.stop(0);
  });

  test("M23: a task without cards gets none, also when its image asks for all of them", async () => {
    const driver = await world.open({ networkRange: "10.198.16.0/20" });
    const sandbox = await start(driver, []);
    const id = await containerOf(world, sandbox);
    const facts = await world.docker.getContainer(id).inspect();
    expect(facts.HostConfig.DeviceRequests ?? []).toEqual([]);
    expect(hook.asked(id)).toBeUndefined();
    expect(await seen(sandbox)).toBe("void");
    await sandbox.stop(0);
  });

  test("M23: cards that the engine cannot hand over are told as such, and leave nothing behind", async () => {
    const driver = await world.open({ networkRange: "10.198.32.0/20" });
    driver.cards?.offer([A]);
    expect(await driver.cards?.tried()).toEqual({ type: "usable" });
    await hook.refuse("nvidia-container-cli: device error: GPU-x: unknown device");
    await expect(start(driver, ["GPU-x"])).rejects.toMatchObject({
      code: "GPU_UNAVAILABLE",
      message: expect.stringContaining("unknown device"),
    });
    await hook.allow();
    await nothingLeft(world);
    await expect(start(driver, [], 1)).rejects.toMatchObject({ code: "GPU_UNAVAILABLE" });
    await nothingLeft(world);
  });
});

describe.skipIf(reason !== undefined)(reason ?? "cards, and an engine without NVIDIA's tools", () => {
  test("M23: it is told as such, nothing is left behind, and other tasks start", async () => {
    await using engine = await openPrivateEngine();
    await using world = openDockerWorld(engine.socketPath);
    await buildImage(world);
    const driver = await world.open({ networkRange: "10.198.48.0/20" });
    driver.cards?.offer([A, B]);
    expect(await driver.cards?.tried()).toMatchObject({
      type: "refused",
      reason: expect.stringContaining("NVIDIA Container Toolkit"),
    });
    await expect(start(driver, [A])).rejects.toMatchObject({
      code: "GPU_UNAVAILABLE",
      message: expect.stringContaining("NVIDIA Container Toolkit"),
    });
    await nothingLeft(world);
    const plain = await start(driver, []);
    expect(await seen(plain)).toBe("void");
    await plain.stop(0);
  });
});
