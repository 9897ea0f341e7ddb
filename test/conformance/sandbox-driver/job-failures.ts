import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { JobSandboxSpec } from "../../../src/core/index.ts";
import { ISOLATION_CLASSES } from "../../../src/core/index.ts";
import { freshName } from "../../support/fresh-name.ts";
import type { JobScene } from "./job-scene.ts";
import { jobSpec } from "./job-scene.ts";
import { neverAborted, SMALL } from "./scene.ts";

/** What a job's start promises when it fails: the right code, and nothing left behind but the work folder. */
export function testJobStartFailures(scene: JobScene): void {
  const tryWith = async (changes: Partial<JobSandboxSpec>): Promise<unknown> => {
    const image = await scene.driver.resolve(scene.jobs.image, { refresh: "missing" }, neverAborted());
    const name = freshName("job");
    const folder = join(scene.jobs.shared.localPath, name);
    await mkdir(folder);
    try {
      const spec = { ...jobSpec(scene.jobs, image, name, ["true"]), ...changes };
      return await scene.driver.startJob(spec, neverAborted()).then(
        async (job) => {
          await job.remove();
          return "it started";
        },
        (error: unknown) => error,
      );
    } finally {
      expect(await readdir(folder)).toEqual([]);
      await rm(folder, { recursive: true });
    }
  };

  test("a work folder that is not there is refused, and not made", async () => {
    const { localPath, hostPath } = scene.jobs.shared;
    const workDir = { localPath: join(localPath, "none"), hostPath: join(hostPath, "none"), target: "/work" };
    expect(await tryWith({ workDir })).toMatchObject({ code: "SANDBOX_START_FAILED" });
    expect(await readdir(localPath)).not.toContain("none");
    await scene.untilNothingRemains();
  });

  test.each([
    ["/"],
    ["/etc"],
    ["/usr/x"],
    ["relative"],
    ["/a/../b"],
    ["/work/"],
    ["/proc"],
    ["/scripts/x"],
    ["/tmp"],
    ["/a\0b"],
  ])("H9: a folder is not shown at %j", async (target) => {
    const name = freshName("job");
    const { localPath, hostPath } = scene.jobs.shared;
    const workDir = { localPath: join(localPath, name), hostPath: join(hostPath, name), target };
    expect(await tryWith({ workDir })).toMatchObject({ code: "SANDBOX_START_FAILED" });
  });

  test.each(["..", ".", "", "-rf", ".hidden", "a b", "../../etc", "x\0", "a:b", "a".repeat(200)])(
    "H9: nothing called %j is a work folder",
    async (name) => {
      const { localPath, hostPath } = scene.jobs.shared;
      const workDir = { localPath: `${localPath}/${name}`, hostPath: `${hostPath}/${name}`, target: "/work" };
      expect(await tryWith({ workDir })).toMatchObject({ code: "SANDBOX_START_FAILED" });
    },
  );

  test.each([
    ["no command", { command: [] }],
    ["a command without a name", { command: [""] }],
    ["a NUL in its command", { command: ["echo", "a\0b"] }],
    ["a NUL in its environment", { environment: { A: "a\0b" } }],
    ["a variable without a name", { environment: { "": "x" } }],
    ["a variable that is an option", { environment: { "-S": "x" } }],
    ["a variable with a sign in its name", { environment: { "A=B": "x" } }],
    ["a user that is none", { user: "a b; id" }],
    ["no processes at all", { pidsLimit: 0 }],
  ] as const)("%s is refused", async (_, changes) => {
    expect(await tryWith(changes)).toMatchObject({ code: "SANDBOX_START_FAILED" });
    await scene.untilNothingRemains();
  });

  test("a start under a signal that has aborted already rejects with its reason and starts nothing", async () => {
    const reason = new Error("too late");
    const signal = AbortSignal.abort(reason);
    expect(await scene.startFails(["sleep", "1000"], { signal })).toBe(reason);
    await scene.untilNothingRemains();
  });

  test("a start that is aborted at any moment rejects with the reason or runs, and leaves nothing", async () => {
    for (const ms of [0, 1, 5, 15, 40, 80]) {
      const stop = new AbortController();
      const reason = new Error("the caller went away");
      const timer = setTimeout(() => stop.abort(reason), ms);
      const outcome = await scene.startCommand(["sleep", "1000"], { signal: stop.signal }).then(
        async ({ job }) => {
          await job.remove();
          return reason;
        },
        (error: unknown) => error,
      );
      clearTimeout(timer);
      expect(outcome).toBe(reason);
    }
    await scene.untilNothingRemains();
  });

  test("a class that is not offered, cards that are not here and SGX are refused by name", async () => {
    const offered = scene.driver.capabilities.isolation;
    for (const isolation of ISOLATION_CLASSES.filter((name) => name !== "sgx" && name !== "process")) {
      if (offered.includes(isolation)) continue;
      const error = await scene.startFails(["true"], { task: { isolation } });
      expect(error.code).toBe("ISOLATION_UNAVAILABLE");
    }
    const resources = { ...SMALL, gpuCount: 1 };
    if (!scene.harness.hasGpus)
      expect((await scene.startFails(["true"], { task: { resources } })).code).toBe("GPU_UNAVAILABLE");
    expect((await scene.startFails(["true"], { task: { sgx: true } })).code).toMatch(
      /^(SGX_UNAVAILABLE|SANDBOX_START_FAILED)$/,
    );
    await scene.untilNothingRemains();
  });
}

/** What `checkSharedDir` promises. */
export function testSharedDir(scene: JobScene): void {
  const check = async (dir: { localPath: string; hostPath: string }): Promise<unknown> => {
    const image = await scene.driver.resolve(scene.jobs.image, { refresh: "missing" }, neverAborted());
    return await scene.driver.checkSharedDir(dir, image, neverAborted()).then(
      () => undefined,
      (error: unknown) => error,
    );
  };

  test("I5: a folder that is the same under both its names passes, and keeps nothing of the test", async () => {
    const { localPath, hostPath } = scene.jobs.shared;
    const before = (await readdir(localPath)).sort();
    expect(await check({ localPath, hostPath })).toBeUndefined();
    expect((await readdir(localPath)).sort()).toEqual(before);
    await scene.untilNothingRemains();
  });

  test("I5: another folder, and one that is not there, are told by both names", async () => {
    const { localPath } = scene.jobs.shared;
    const other = join(localPath, "other");
    await mkdir(other, { recursive: true });
    for (const hostPath of [other, "/no/such/folder"]) {
      const error = await check({ localPath, hostPath });
      expect(error).toMatchObject({ code: "CONFIG_INVALID" });
      expect(String(error)).toContain(localPath);
      expect(String(error)).toContain(hostPath);
    }
    expect(await check({ localPath: "/no/such/folder", hostPath: other })).toMatchObject({
      code: "CONFIG_INVALID",
    });
    expect(await readdir(other)).toEqual([]);
    await rm(other, { recursive: true });
    await scene.untilNothingRemains();
  });
}
