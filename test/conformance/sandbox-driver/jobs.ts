import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MEBIBYTE } from "../../../src/core/index.ts";
import { poll } from "../../support/poll.ts";
import type { JobScene } from "./job-scene.ts";
import { neverAborted, SMALL } from "./scene.ts";

/** Writes a number that grows, for as long as it lives, wherever its parents are. */
const DAEMONISED = `setsid sh -c 'n=0; while :; do n=$((n+1)); echo $n > alive; sleep 0.05; done' &`;

/** How the end of a job's command is told. */
export function testJobEnds(scene: JobScene): void {
  test.each([0, 1, 2, 3, 126, 127, 255])("D5: exit code %i is told as it is", async (exitCode) => {
    const { job } = await scene.start(`exit ${exitCode}`);
    expect(await job.ended).toEqual({ type: "exited", exitCode });
  });

  test("exit code 137 is told as the signal that it stands for", async () => {
    const { job } = await scene.start("exit 137");
    expect(await job.ended).toEqual({ type: "signalled", signal: "SIGKILL" });
  });

  test("D5: a command that dies by a signal says by which", async () => {
    const { job } = await scene.start("kill -USR1 $$; sleep 60");
    expect(await job.ended).toEqual({ type: "signalled", signal: "SIGUSR1" });
  });

  test("however short a job is, its end is known", async () => {
    for (const exitCode of [0, 5, 0, 6, 0]) {
      const { job } = await scene.start(`exit ${exitCode}`);
      expect(await job.ended).toEqual({ type: "exited", exitCode });
      await job.remove();
    }
    const many = await Promise.all([1, 2, 3, 4].map((exitCode) => scene.start(`exit ${exitCode}`)));
    const ends = await Promise.all(many.map(({ job }) => job.ended));
    expect(ends).toEqual([1, 2, 3, 4].map((exitCode) => ({ type: "exited", exitCode })));
  });

  test("D1: a job that takes more memory than it was given ends for that reason", async ({ skip }) => {
    if (!scene.harness.enforcesMemory) skip("memory limits are not enforced here");
    const { job } = await scene.start("tail /dev/zero; exit 1", {
      task: { resources: { ...SMALL, memoryBytes: 24 * MEBIBYTE } },
    });
    expect(await job.ended).toEqual({ type: "memory", limitBytes: 24 * MEBIBYTE });
    const { memoryPeakBytes = 0 } = await job.usage(neverAborted());
    expect(memoryPeakBytes).toBeLessThanOrEqual(24 * MEBIBYTE);
  });

  test("a program that is not there fails the job, and leaves nothing", async () => {
    const outcome = await scene.startCommand(["no-such-program"]).then(
      ({ job }) => job.ended,
      (error: unknown) => error,
    );
    // Only the engine's first process may find out, after the start.
    if (outcome instanceof Error) expect(outcome).toMatchObject({ code: "IMAGE_UNUSABLE" });
    else expect(outcome).toEqual({ type: "exited", exitCode: 127 });
  });
}

/** What a job finds around it. */
export function testJobSurroundings(scene: JobScene): void {
  test("it works in its folder, sees what was put there, and what it writes is its daemon's", async () => {
    const { job, folder } = await scene.start(
      `pwd; cat input.json; cat data/deep/x; echo more >> data/deep/x; mkdir -p output/artifacts;
       echo '[1]' > output/output.json; umask 077; echo mine > output/artifacts/private; mkdir locked;
       echo in > locked/file; chmod 500 locked; chmod 000 output/artifacts/private; rm input.json`,
      { files: { "input.json": '{"a": 1}\n', "data/deep/x": "deep\n" } },
    );
    expect(await job.ended).toEqual({ type: "exited", exitCode: 0 });
    const { shared } = scene.jobs;
    const cwd = scene.jobs.hasOwnView ? "/working_dir" : join(shared.localPath, job.mark.jobId);
    expect(await scene.output(job)).toBe(`${cwd}\n{"a": 1}\ndeep\n`);
    expect(await readFile(join(folder, "output/output.json"), "utf8")).toBe("[1]\n");
    expect(await readFile(join(folder, "output/artifacts/private"), "utf8")).toBe("mine\n");
    expect(await readFile(join(folder, "data/deep/x"), "utf8")).toBe("deep\nmore\n");
    await expect(stat(join(folder, "input.json"))).rejects.toMatchObject({ code: "ENOENT" });
    await rm(folder, { recursive: true });
  });

  test("scripts may open what they write to by name", async () => {
    const { job } = await scene.start("echo said > /dev/stdout; echo complained > /dev/stderr");
    expect(await job.ended).toEqual({ type: "exited", exitCode: 0 });
    const both = async (): Promise<readonly string[]> => (await scene.output(job)).split("\n").toSorted();
    expect(await both()).toEqual(["", "complained", "said"]);
  });

  test("it gets its variables and none of the daemon's own", async () => {
    process.env["HEARTH_TEST_SECRET"] = "canary-9b1";
    try {
      const { job } = await scene.start('echo "<$GREETING>"; env', {
        environment: { GREETING: "good morning", NVIDIA_VISIBLE_DEVICES: "all" },
      });
      await job.ended;
      const output = await scene.output(job);
      expect(output).toContain("<good morning>");
      expect(output).toContain("NVIDIA_VISIBLE_DEVICES=void");
      expect(output).not.toContain("canary-9b1");
      expect(output).not.toContain("NVIDIA_VISIBLE_DEVICES=all");
    } finally {
      delete process.env["HEARTH_TEST_SECRET"];
    }
  });

  test("arguments reach it as they are: no shell reads them", async () => {
    const odd = ["a b", "$(id)", "`id`", "'\"", "*", "-n", "é\n"];
    const { job } = await scene.startCommand([
      "sh",
      "-c",
      'for a; do printf "<%s>" "$a"; done',
      "sh",
      ...odd,
    ]);
    await job.ended;
    expect(await scene.output(job)).toBe(odd.map((text) => `<${text}>`).join(""));
  });

  test("D10: it is held to its number of processes", async ({ skip }) => {
    if (!scene.jobs.enforcesPids) skip("the number of processes is not limited here");
    const { job } = await scene.start(
      "i=0; while [ $i -lt 40 ]; do sleep 600 & i=$((i+1)); done; echo all forty",
      { pidsLimit: 16 },
    );
    expect((await job.ended).type).toBe("exited");
    const output = await scene.output(job);
    expect(output).not.toContain("all forty");
    expect(output.toLowerCase()).toContain("fork");
  });

  test("it is held to its share of a processor", async ({ skip }) => {
    if (!scene.jobs.enforcesCpu) skip("CPU is not limited here");
    const { job } = await scene.start("while :; do :; done", {
      task: { resources: { ...SMALL, cpuMillis: 100 } },
    });
    const [from, before] = [performance.now(), await job.usage(neverAborted())];
    await new Promise((resolve) => setTimeout(resolve, 1500));
    let share = 0;
    // On a busy machine it may have had no turn yet.
    await poll("it has had some", async () => {
      const after = await job.usage(neverAborted());
      share = (after.cpuMs - before.cpuMs) / (performance.now() - from);
      return share > 0 || "nothing yet";
    });
    // A tenth, and as much again for the period that is under way at both ends.
    expect(share).toBeLessThan(0.3);
  });
}

/** Output, and what a job has used. */
export function testJobWatching(scene: JobScene): void {
  test("both streams are kept, and the tail says whether there was more", async () => {
    const { job, folder } = await scene.start(
      "echo out; until [ -e go ]; do sleep 0.05; done; echo err >&2; exit 4",
    );
    // Two streams have an order only where the one is known to have come.
    await poll("the first has come", async () => (await scene.output(job)) === "out\n" || "not yet");
    await writeFile(join(folder, "go"), "");
    await job.ended;
    const whole = await job.tailLog(65_536, neverAborted());
    expect(whole).toEqual({ text: "out\nerr\n", isTruncated: false });
    expect(await job.tailLog(4, neverAborted())).toEqual({ text: "err\n", isTruncated: true });
    const chunks: string[] = [];
    for await (const { stream, text } of job.followLog(65_536, neverAborted()))
      chunks.push(`${stream}: ${text}`);
    expect(chunks.join("")).toContain("stdout: out");
    expect(chunks.join("")).toContain("stderr: err");
  });

  test("following shows what comes and ends with the job", async () => {
    const { job, folder } = await scene.start(
      "echo first; until [ -e go ]; do sleep 0.05; done; echo last; exit 3",
    );
    let seen = "";
    for await (const { text } of job.followLog(65_536, neverAborted())) {
      if (seen === "") await writeFile(join(folder, "go"), "");
      seen += text;
    }
    expect(seen).toBe("first\nlast\n");
    expect(await job.ended).toEqual({ type: "exited", exitCode: 3 });
  });

  test("following ends when its signal aborts, and the job goes on", async () => {
    const { job, folder } = await scene.start("echo up; until [ -e go ]; do sleep 0.05; done");
    const stop = new AbortController();
    const read = async (): Promise<void> => {
      for await (const _ of job.followLog(100, stop.signal)) stop.abort(new Error("seen enough"));
    };
    await read().catch((error: unknown) => expect(error).toBe(stop.signal.reason));
    await writeFile(join(folder, "go"), "");
    expect(await job.ended).toEqual({ type: "exited", exitCode: 0 });
  });

  test("D8: a flood of output neither blocks the job nor is kept whole; its end is", async () => {
    const { job } = await scene.start("yes 0123456789 | head -c 6000000; echo; echo flood ends");
    expect(await job.ended).toEqual({ type: "exited", exitCode: 0 });
    const tail = await job.tailLog(4096, neverAborted());
    expect(tail.text).toContain("flood ends");
    expect(tail.isTruncated).toBe(true);
    expect(Buffer.byteLength(tail.text)).toBeLessThanOrEqual(4096);
  });

  test("usage grows while it runs, and its last figures stay after its end", async () => {
    const { job, folder } = await scene.start(
      "n=0; while [ $n -lt 100000 ]; do n=$((n+1)); done; echo spun; until [ -e go ]; do sleep 0.05; done",
    );
    await poll("it has spun", async () => (await scene.output(job)).includes("spun") || "not yet");
    const running = await job.usage(neverAborted());
    expect(running.cpuMs).toBeGreaterThan(0);
    expect(running.memoryBytes).toBeGreaterThan(0);
    await writeFile(join(folder, "go"), "");
    await job.ended;
    const ended = await job.usage(neverAborted());
    expect(ended.cpuMs).toBeGreaterThanOrEqual(running.cpuMs);
  });
}

/** What `end` and `remove` promise. */
export function testJobStopping(scene: JobScene): void {
  test("one that is asked to end has its grace to finish in", async () => {
    const { job, folder } = await scene.start(
      "trap 'sleep 0.3; echo kept > result; exit 0' TERM; echo up; while :; do sleep 0.05; done",
    );
    await poll("it is up", async () => (await scene.output(job)).includes("up") || "not yet");
    await job.end(60_000);
    expect(await job.ended).toEqual({ type: "stopped" });
    expect(await readFile(join(folder, "result"), "utf8")).toBe("kept\n");
    expect(await scene.output(job)).toContain("up\n");
  });

  test("D7: one that takes no notice is killed after its grace", async () => {
    const { job } = await scene.start("trap '' TERM; echo up; while :; do sleep 0.05; done");
    await poll("it is up", async () => (await scene.output(job)).includes("up") || "not yet");
    await job.end(300);
    expect(await job.ended).toEqual({ type: "stopped" });
  });

  test("without grace it is killed at once", async () => {
    const { job, folder } = await scene.start("trap 'echo asked > asked' TERM; sleep 1000 & wait");
    await job.end(0);
    expect(await job.ended).toEqual({ type: "stopped" });
    await expect(stat(join(folder, "asked"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  test.each([
    ["ends by itself", async () => undefined],
    ["is ended", (job: { end(graceMs: number): Promise<void> }) => job.end(200)],
  ] as const)("when it %s nothing that it started lives on", async (how, act) => {
    const waits = how === "is ended" ? "sleep 1000" : "until [ -e alive ]; do sleep 0.01; done";
    const { job, folder } = await scene.start(`${DAEMONISED} ${waits}`);
    await poll("its daemon lives", async () =>
      readFile(join(folder, "alive")).then(
        () => true as const,
        () => "not yet",
      ),
    );
    await act(job);
    await job.ended;
    const last = await readFile(join(folder, "alive"), "utf8");
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(await readFile(join(folder, "alive"), "utf8")).toBe(last);
  });

  test("ending twice at once and again afterwards is fine, and the first cause stays", async () => {
    const { job } = await scene.start("exit 9");
    await job.ended;
    await Promise.all([job.end(1000), job.end(0)]);
    expect(await job.ended).toEqual({ type: "exited", exitCode: 9 });
    const { job: running } = await scene.start("sleep 1000");
    await Promise.all([running.end(1000), running.end(500), running.end(0)]);
    await running.end(0);
    expect(await running.ended).toEqual({ type: "stopped" });
  });

  test("removing one that runs ends it, and leaves its work folder and nothing else", async () => {
    const { job, folder } = await scene.start("echo begun > begun; sleep 1000");
    await poll("it has begun", async () =>
      readFile(join(folder, "begun")).then(
        () => true as const,
        () => "not yet",
      ),
    );
    await Promise.all([job.remove(), job.remove()]);
    await job.remove();
    expect(await job.ended).toEqual({ type: "stopped" });
    expect(await readFile(join(folder, "begun"), "utf8")).toBe("begun\n");
    await scene.untilNothingRemains();
  });

  test("removing one that has ended leaves nothing", async () => {
    const { job, folder } = await scene.start("echo x > x");
    await job.ended;
    await job.remove();
    expect(await readFile(join(folder, "x"), "utf8")).toBe("x\n");
    await scene.untilNothingRemains();
  });
}
