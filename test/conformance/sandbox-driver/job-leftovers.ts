import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { JobLeftover, SandboxDriver } from "../../../src/core/index.ts";
import { poll } from "../../support/poll.ts";
import type { SandboxDriverHarness } from "./harness.ts";
import type { JobScene, StartedJob } from "./job-scene.ts";
import { useJobScene } from "./job-scene.ts";
import { neverAborted, specFor } from "./scene.ts";

type OpenHarness = () => Promise<SandboxDriverHarness>;

/** What the next life of an owner finds of jobs, where sandboxes outlive the daemon. */
export function testJobAdoption(openHarness: OpenHarness): void {
  const scene = useJobScene(openHarness);

  test("I12: a job that runs is taken over with all that is known of it, and ends as it would have", async ({
    skip,
  }) => {
    skipUnlessAdopted(scene, skip);
    const started = await scene.start(
      "echo before; until [ -e go ]; do sleep 0.05; done; echo after; exit 3",
      { attempt: 2 },
    );
    let secondLifeMs = Number.POSITIVE_INFINITY;
    const { life, found } = await nextLife(scene, skip, started, async () => {
      // A clock may be read in whole seconds.
      await new Promise((resolve) => setTimeout(resolve, 1100));
      secondLifeMs = Date.now();
    });
    expect(found).toMatchObject([
      {
        sandboxId: started.job.id,
        mark: started.job.mark,
        task: started.job.task,
        imageDigest: started.job.imageDigest,
        gpuIds: [],
      },
    ]);
    const job = await only(found).adopt(neverAborted());
    scene.keep(job);
    expect(job.mark).toEqual({ jobId: started.job.mark.jobId, attempt: 2 });
    expect(Math.abs(job.startedAtMs - started.job.startedAtMs)).toBeLessThan(60_000);
    expect(job.startedAtMs).toBeLessThan(secondLifeMs);
    expect(await life.jobLeftovers(neverAborted())).toEqual([]);
    await writeFile(join(started.folder, "go"), "");
    expect(await job.ended).toEqual({ type: "exited", exitCode: 3 });
    expect(await scene.output(job)).toBe("before\nafter\n");
    await job.remove();
    await scene.untilNothingRemains();
  });
}

/** The same: jobs that ended while nobody looked. */
export function testEndedJobAdoption(openHarness: OpenHarness): void {
  const scene = useJobScene(openHarness);

  test("I12: a job that ended while nobody looked is taken over with its end and its output", async ({
    skip,
  }) => {
    skipUnlessAdopted(scene, skip);
    const started = await scene.start("until [ -e go ]; do sleep 0.05; done; echo done; echo > over; exit 4");
    const { found } = await nextLife(scene, skip, started, async () => {
      await writeFile(join(started.folder, "go"), "");
      await poll("its last step", async () =>
        readFile(join(started.folder, "over")).then(
          () => true as const,
          () => "not yet",
        ),
      );
      await new Promise((resolve) => setTimeout(resolve, 500));
    });
    const job = await only(found).adopt(neverAborted());
    scene.keep(job);
    expect(await job.ended).toEqual({ type: "exited", exitCode: 4 });
    expect(await scene.output(job)).toBe("done\n");
    await job.end(100);
    await job.remove();
    await scene.untilNothingRemains();
  });
}

/** The same: jobs that nobody wants to take over. */
export function testJobReaping(openHarness: OpenHarness): void {
  const scene = useJobScene(openHarness);

  test("reaping one that ended leaves its work folder and nothing else", async ({ skip }) => {
    skipUnlessAdopted(scene, skip);
    const started = await scene.start("echo kept > kept");
    await started.job.ended;
    const { life, found } = await nextLife(scene, skip, started);
    await only(found).reap(neverAborted());
    expect(await readFile(join(started.folder, "kept"), "utf8")).toBe("kept\n");
    expect(await life.jobLeftovers(neverAborted())).toEqual([]);
    await scene.untilNothingRemains();
  });
}

/** Jobs and calls of one owner keep out of each other's way. */
export function testJobsAmongCalls(openHarness: OpenHarness): void {
  const scene = useJobScene(openHarness);

  test("each list of leftovers has its own kind only, and reaping the one leaves the other alone", async ({
    skip,
  }) => {
    const { driver, images } = scene.harness;
    const echo = images.echo;
    if (echo === undefined) {
      skip("this harness has no image for calls");
      return;
    }
    const resolved = await driver.resolve(echo, { refresh: "missing" }, neverAborted());
    const sandbox = await driver.start(specFor(echo, resolved), neverAborted());
    const started = await scene.start("echo up > up; sleep 1000");
    const { life, found } = await nextLife(scene, skip, started);
    const calls = await life.leftovers(neverAborted());
    expect(calls.map(({ sandboxId }) => sandboxId)).toEqual([sandbox.id]);
    expect(found.map(({ sandboxId }) => sandboxId)).toEqual([started.job.id]);
    await only(calls).reap(neverAborted());
    const still = await life.jobLeftovers(neverAborted());
    expect(still.map(({ sandboxId }) => sandboxId)).toEqual([started.job.id]);
    await only(still).reap(neverAborted());
    await scene.untilNothingRemains();
  });
}

/** What a driver must not touch. */
export function testJobStrangers(openHarness: OpenHarness): void {
  const scene = useJobScene(openHarness);

  test("its own jobs and those of another owner are no leftovers, and live on", async ({ skip }) => {
    const { openStranger } = scene.harness;
    if (openStranger === undefined) {
      skip("this harness has no second owner");
      return;
    }
    const { job, folder } = await scene.start("until [ -e go ]; do sleep 0.05; done; exit 7");
    await using stranger = await openStranger.call(scene.harness);
    expect(await stranger.jobLeftovers(neverAborted())).toEqual([]);
    expect(await stranger.leftovers(neverAborted())).toEqual([]);
    expect(await scene.driver.jobLeftovers(neverAborted())).toEqual([]);
    expect(await scene.driver.leftovers(neverAborted())).toEqual([]);
    await writeFile(join(folder, "go"), "");
    expect(await job.ended).toEqual({ type: "exited", exitCode: 7 });
  });
}

function skipUnlessAdopted(scene: JobScene, skip: (note: string) => void): void {
  if (!scene.driver.capabilities.canAdopt) skip("sandboxes of this driver end with it");
}

async function nextLife(
  scene: JobScene,
  skip: (note: string) => void,
  { job }: StartedJob,
  meanwhile: () => Promise<void> = async () => undefined,
): Promise<{ readonly life: SandboxDriver; readonly found: readonly JobLeftover[] }> {
  const { reopen } = scene.harness;
  if (reopen === undefined) skip("this harness has no second life");
  scene.release(job);
  const life = await (reopen as (meanwhile: () => Promise<void>) => Promise<SandboxDriver>).call(
    scene.harness,
    meanwhile,
  );
  return { life, found: await life.jobLeftovers(neverAborted()) };
}

function only<T>(list: readonly T[]): T {
  const [one] = list;
  if (one === undefined || list.length !== 1) throw new Error(`one was expected, not ${list.length}`);
  return one;
}
