import { expect, test } from "vitest";
import { ISOLATION_CLASSES } from "../../../src/core/index.ts";
import type { Scene } from "./scene.ts";

/** What a start promises when it succeeds. */
export function testStarting(scene: Scene): void {
  test("a started sandbox says what it is and answers at its endpoint", async ({ skip }) => {
    const image = scene.image("echo", skip);
    const sandbox = await scene.start(image);
    expect(sandbox.task.image).toBe(image);
    expect(sandbox.label).not.toBe("");
    expect(sandbox.isolation).toBe(scene.driver.capabilities.isolation[0]);
    expect(sandbox.imageDigest).toBe((await resolve(scene, image)).digest);
    for (const ms of Object.values(sandbox.phases)) expect(ms).toBeGreaterThanOrEqual(0);
    expect(await scene.post(sandbox, "hällo")).toEqual({ status: 200, body: "hällo" });
  });

  test("a class named by the request is the class that is reached", async ({ skip }) => {
    for (const isolation of scene.driver.capabilities.isolation.slice(0, 1)) {
      const sandbox = await scene.start(scene.image("echo", skip), { task: { isolation } });
      expect(sandbox.isolation).toBe(isolation);
    }
  });

  test.for([
    ["slowStart", "that takes a second to begin"],
    ["latePort", "that prints the mark before its port accepts (M27)"],
    ["markSplit", "whose mark comes in two writes (M27)"],
    ["markOnStderr", "that prints the mark to stderr"],
  ] as const)("%s: a task %s is ready only when it answers", async ([behaviour], { skip }) => {
    const sandbox = await scene.start(scene.image(behaviour, skip));
    expect(await scene.post(sandbox, "x")).toEqual({ status: 200, body: "x" });
    expect(sandbox.warnings.filter((warning) => warning.includes("meca-init-done"))).toEqual([]);
  });

  test("M27: a task that never prints the mark but accepts for 2 s is ready, with a warning", async ({
    skip,
  }) => {
    const sandbox = await scene.start(scene.image("noMark", skip));
    expect(sandbox.warnings.some((warning) => warning.includes("meca-init-done"))).toBe(true);
    expect(await scene.post(sandbox, "x")).toEqual({ status: 200, body: "x" });
  });

  test("two sandboxes of one task live side by side and end one by one", async ({ skip }) => {
    const image = scene.image("echo", skip);
    const [one, two] = await Promise.all([scene.start(image), scene.start(image)]);
    expect(one.id).not.toBe(two.id);
    expect(one.endpoint).not.toEqual(two.endpoint);
    expect(await scene.post(one, "one")).toEqual({ status: 200, body: "one" });
    expect(await scene.post(two, "two")).toEqual({ status: 200, body: "two" });
    await scene.wait(one.stop(2000));
    expect(await scene.post(two, "two again")).toEqual({ status: 200, body: "two again" });
  });

  test("a slow start delays no other start", async ({ skip }) => {
    const stop = new AbortController();
    // It would never end by itself: a start that waited for it would not end either.
    const slow = scene.startFails(scene.image("noPort", skip), {
      startTimeoutMs: 600_000,
      signal: stop.signal,
    });
    const reason = new Error("nobody waits for it");
    try {
      const quick = await scene.start(scene.image("echo", skip));
      expect(await scene.post(quick, "x")).toEqual({ status: 200, body: "x" });
    } finally {
      stop.abort(reason);
    }
    expect(await slow).toBe(reason);
  });
}

/** What a start promises when it fails: the right code, and nothing left behind. */
export function testStartFailures(scene: Scene): void {
  test("M27: a task whose port never opens runs into its start timeout and leaves nothing", async ({
    skip,
  }) => {
    // Time enough to begin in: its words are asked for as well.
    const error = await scene.startFails(scene.image("noPort", skip), { startTimeoutMs: 8000 });
    expect(error.code).toBe("START_TIMEOUT");
    expect(error.facts["logTail"]).toContain("no port here");
    await scene.untilNothingRemains();
  });

  test("M27: a task that exits at start is told with its code and its last words, and leaves nothing", async ({
    skip,
  }) => {
    const error = await scene.startFails(scene.image("exitsAtStart", skip));
    expect(error.code).toBe("SANDBOX_EXITED_EARLY");
    expect(error.facts["exitCode"]).toBe(42);
    expect(error.facts["logTail"]).toContain("cannot begin");
    await scene.untilNothingRemains();
  });

  test("a program that cannot be executed is an unusable image, and leaves nothing", async ({ skip }) => {
    const error = await scene.startFails(scene.image("unusable", skip));
    expect(error.code).toBe("IMAGE_UNUSABLE");
    await scene.untilNothingRemains();
  });

  test("a start that is aborted half-way rejects with the reason and leaves nothing", async ({ skip }) => {
    const image = scene.image("noPort", skip);
    const stop = new AbortController();
    const start = scene.startFails(image, { signal: stop.signal });
    await scene.elapse(300);
    const reason = new Error("the caller went away");
    stop.abort(reason);
    expect(await start).toBe(reason);
    await scene.untilNothingRemains();
  });

  test("a start under a signal that has aborted already rejects with its reason and starts nothing", async ({
    skip,
  }) => {
    const reason = new Error("too late");
    const error = await scene.startFails(scene.image("echo", skip), { signal: AbortSignal.abort(reason) });
    expect(error).toBe(reason);
    await scene.untilNothingRemains();
  });

  test("an isolation class that is not offered is refused, never weakened, and leaves nothing", async ({
    skip,
  }) => {
    const offered = scene.driver.capabilities.isolation;
    for (const isolation of ISOLATION_CLASSES.filter((name) => name !== "sgx" && name !== "process")) {
      if (offered.includes(isolation)) continue;
      const error = await scene.startFails(scene.image("echo", skip), { task: { isolation } });
      expect(error.code).toBe("ISOLATION_UNAVAILABLE");
    }
    await scene.untilNothingRemains();
  });

  test("GPUs and SGX that the host does not have are refused by name", async ({ skip }) => {
    const image = scene.image("echo", skip);
    if (!scene.harness.hasGpus) {
      const resources = { cpuMillis: 1000, memoryBytes: 134_217_728, gpuCount: 1, gpuMemoryBytes: 0 };
      expect((await scene.startFails(image, { task: { resources } })).code).toBe("GPU_UNAVAILABLE");
    }
    if (!scene.harness.hasSgx)
      expect((await scene.startFails(image, { task: { sgx: true } })).code).toBe("SGX_UNAVAILABLE");
    await scene.untilNothingRemains();
  });
}

function resolve(scene: Scene, image: string): Promise<{ readonly digest: string }> {
  return scene.wait(scene.driver.resolve(image, { refresh: "missing" }, new AbortController().signal));
}
