import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { SandboxEnd } from "../../../src/core/index.ts";
import { ExecutorError } from "../../../src/core/index.ts";
import { poll } from "../../support/poll.ts";
import type { SandboxDriverHarness } from "./harness.ts";
import { neverAborted } from "./scene.ts";
import type { WorkerScene } from "./worker-scene.ts";
import { ANSWER, hear, heard, useWorkerScene } from "./worker-scene.ts";

/** What a worker is given, and how it is ended. */
export function testWorkers(scene: WorkerScene): void {
  test("it is reached where it was told to listen, with its environment, until it is ended", async () => {
    const worker = await scene.start(ANSWER);
    expect(await heard(worker)).toBe("word said\n");
    expect(worker).toMatchObject({ gpuIds: [], mark: { attempt: 1 } });
    expect((await worker.usage(neverAborted())).memoryBytes).toBeGreaterThan(0);
    await worker.end(0);
    expect(await worker.ended).toEqual({ type: "stopped" });
    expect(await scene.output(worker)).toBe("up\n");
    await worker.remove();
    await expect(hear(worker)).rejects.toThrow();
    await scene.untilNothingRemains();
  });

  test("two of one program are each reached by themselves", async () => {
    const one = await scene.start(ANSWER, { environment: { WORD: "one" } });
    const other = await scene.start(ANSWER, { environment: { WORD: "other" } });
    expect([await heard(one), await heard(other)]).toEqual(["word one\n", "word other\n"]);
  });

  test("asked to end, it may end on its own terms; what takes no notice is killed", async () => {
    const polite = await scene.start("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done");
    const deaf = await scene.start("trap '' TERM; echo up; while :; do sleep 0.05; done");
    for (const worker of [polite, deaf])
      await poll("it runs", async () => (await scene.output(worker)) === "up\n" || "not yet");
    await Promise.all([polite.end(60_000), deaf.end(200)]);
    expect(await scene.output(polite)).toContain("bye\n");
    expect(await deaf.ended).toEqual({ type: "stopped" });
  });

  test.each<[string, SandboxEnd]>([
    ["exit 7", { type: "exited", exitCode: 7 }],
    ["kill -SEGV $$; sleep 5", { type: "signalled", signal: "SIGSEGV" }],
  ])(
    "X10: one that ends by itself (%s) says how, and leaves nothing once it is removed",
    async (script, end) => {
      // As the first process of a name space it would take no signal of its own.
      const worker = await scene.start(`echo last words; sh -c '${script}'; code=$?; exit $code`);
      expect(await worker.ended).toEqual(end);
      expect(await scene.output(worker)).toContain("last words");
      await worker.remove();
      await scene.untilNothingRemains();
    },
  );

  test("X10: one that takes too much memory says so", async ({ skip }) => {
    if (!scene.harness.enforcesMemory) return skip("this harness enforces no memory limits");
    const worker = await scene.start("busybox tail /dev/zero; exit 137");
    expect(await worker.ended).toMatchObject({ type: "memory" });
  });

  test("it sees the folders of the operator's configuration, and writes where it may", async () => {
    const folder = await mkdtemp(join(scene.harness.jobs.shared.localPath, "bind-"));
    try {
      await writeFile(join(folder, "given"), "from the host\n");
      const binds = [{ source: folder, target: folder, isReadOnly: false }];
      const worker = await scene.start(`cat ${folder}/given; echo back > ${folder}/made`, { binds });
      expect(await worker.ended).toEqual({ type: "exited", exitCode: 0 });
      expect(await scene.output(worker)).toBe("from the host\n");
      expect(await readFile(join(folder, "made"), "utf8")).toBe("back\n");
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}

/** What a worker's start promises when it fails. */
export function testWorkerStartFailures(scene: WorkerScene): void {
  test("a program that is not there is refused, or ends as shells tell it, and nothing is left", async () => {
    const command = (): readonly string[] => ["/no/such/program"];
    const outcome = await scene.start("", { command }).then(
      async (worker) => {
        const end = await worker.ended;
        await worker.remove();
        return end;
      },
      (error: unknown) => error,
    );
    // An engine whose first process starts the program has started something.
    expect([
      { code: "SANDBOX_START_FAILED" },
      { code: "IMAGE_UNUSABLE" },
      { type: "exited", exitCode: 127 },
    ]).toContainEqual(told(outcome));
    await scene.untilNothingRemains();
  });

  test("one that is given up rejects with its caller's reason, and nothing is left", async () => {
    const reason = new Error("nobody wants it");
    await expect(scene.start(ANSWER, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const giveUp = new AbortController();
    const starting = scene.start(ANSWER, { signal: giveUp.signal });
    giveUp.abort(reason);
    await expect(starting).rejects.toBe(reason);
    await scene.untilNothingRemains();
  });

  test("cards that it was not given are not made up", async () => {
    const changes = { gpuIds: ["GPU-1"] };
    await expect(scene.start(ANSWER, changes)).rejects.toMatchObject({ code: "GPU_UNAVAILABLE" });
  });

  test.each([
    ["relative", "/x"],
    ["/a/../b", "/x"],
    ["/a", "/x/"],
  ])("a folder %s at %s is refused", async (source, target) => {
    const binds = [{ source, target, isReadOnly: true }];
    await expect(scene.start(ANSWER, { binds })).rejects.toMatchObject({ code: "SANDBOX_START_FAILED" });
    await scene.untilNothingRemains();
  });
}

/** What the next life of an owner finds of workers. */
export function testWorkerLeftovers(openHarness: () => Promise<SandboxDriverHarness>): void {
  const scene = useWorkerScene(openHarness);

  test("X10: one of an earlier life is found among the jobs, taken over by nobody, and reaped without a trace", async ({
    skip,
  }) => {
    const { reopen, openStranger } = scene.harness;
    if (reopen === undefined || openStranger === undefined) return skip("this driver has no further lives");
    const worker = await scene.start(`sh -c 'while :; do sleep 1; done' & ${ANSWER}`);
    await heard(worker);
    scene.release(worker);
    await using life = await reopen();
    expect(await life.leftovers(neverAborted())).toEqual([]);
    await using stranger = await openStranger();
    expect(await stranger.jobLeftovers(neverAborted())).toEqual([]);
    const found = await life.jobLeftovers(neverAborted());
    expect(found).toMatchObject([{ sandboxId: worker.id, mark: undefined }]);
    await expect(found[0]?.adopt(neverAborted())).rejects.toMatchObject({ code: "SANDBOX_LOST" });
    expect(await heard(worker)).toBe("word said\n");
    await found[0]?.reap(neverAborted());
    await expect(hear(worker)).rejects.toThrow();
    expect(await life.jobLeftovers(neverAborted())).toEqual([]);
    await scene.untilNothingRemains();
  });
}

/** What of an outcome says how it was. */
function told(outcome: unknown): object {
  return outcome instanceof ExecutorError ? { code: outcome.code } : (outcome as object);
}
