import { chmod, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { ExecutorError, JobSandbox } from "../../src/core/index.ts";
import type { JobOptions } from "../conformance/sandbox-driver/job-scene.ts";
import { jobSpec } from "../conformance/sandbox-driver/job-scene.ts";
import { neverAborted, specFor } from "../conformance/sandbox-driver/scene.ts";
import { freshName } from "../support/fresh-name.ts";
import { poll } from "../support/poll.ts";
import type { ProcessHarness } from "../support/process-harness.ts";
import { openProcessHarness } from "../support/process-harness.ts";

const SUM = `import json, os, sys
numbers = json.load(open("input.json"))["numbers"]
os.makedirs("output/artifacts")
json.dump([sum(numbers)], open("output/output.json", "w"))
print(os.getcwd(), os.environ.get("FLAVOUR"), sys.argv[1:])
`;

describe.each([
  ["in a view of its own", []],
  ["in a view made for it alone", ["copies"]],
  ["in the host's view", ["bubblewrap"]],
] as const)("a task folder's jobs, %s", (_how, avoid) => {
  let harness: ProcessHarness;
  const started: JobSandbox[] = [];

  beforeAll(async () => {
    harness = await openProcessHarness({ avoid });
    const folder = join(harness.taskDirectory, "solver");
    await mkdir(join(folder, "scripts"), { recursive: true });
    await mkdir(join(folder, "bin"));
    await writeFile(join(folder, "scripts/sum.py"), SUM);
    await writeFile(join(folder, "bin/solve"), "#!/bin/sh\necho solved in $PWD\n", { mode: 0o755 });
    await writeFile(join(folder, "bin/true"), "#!/bin/sh\necho our own\n", { mode: 0o755 });
    await harness.addTask("solver", { mode: "job", env: { FLAVOUR: "mild", LANG: "C" } });
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((job) => job.remove()));
    expect(await harness.remains()).toEqual([]);
  });
  afterAll(async () => {
    await harness[Symbol.asyncDispose]();
  });

  async function start(
    command: readonly string[],
    options: JobOptions & { readonly image?: string } = {},
  ): Promise<{ readonly job: JobSandbox; readonly folder: string }> {
    const asked = options.image ?? "test/solver";
    const name = freshName("job");
    const folder = join(harness.jobs.shared.localPath, name);
    await mkdir(folder);
    for (const [path, text] of Object.entries(options.files ?? {})) await writeFile(join(folder, path), text);
    const image = await harness.driver.resolve(asked, { refresh: "missing" }, neverAborted());
    const spec = jobSpec({ ...harness.jobs, image: asked }, image, name, command, options);
    const job = await harness.driver.startJob(spec, neverAborted());
    started.push(job);
    return { job, folder };
  }

  const outputOf = async (job: JobSandbox): Promise<string> => {
    await job.ended;
    return (await job.tailLog(65_536, neverAborted())).text;
  };

  test("its scripts are at /scripts, and python is the host's, whatever that is called", async () => {
    const { job, folder } = await start(["python", "/scripts/sum.py", "/scripts/none", "/scriptsX"], {
      files: { "input.json": '{"numbers": [1, 2, 3.5]}' },
      environment: { FLAVOUR: "strong" },
    });
    const isOwnView = harness.driver.reach.bubblewrap;
    const scripts = isOwnView ? "/scripts" : join(harness.taskDirectory, "solver/scripts");
    const cwd = isOwnView ? "/working_dir" : folder;
    expect(await outputOf(job)).toBe(`${cwd} strong ['${scripts}/none', '/scriptsX']\n`);
    expect(await job.ended).toEqual({ type: "exited", exitCode: 0 });
    expect(await readFile(join(folder, "output/output.json"), "utf8")).toBe("[6.5]");
  });

  test("a script that is not there is the job's failure, not the start's", async () => {
    const { job } = await start(["python", "/scripts/none.py"]);
    expect(await job.ended).toEqual({ type: "exited", exitCode: 2 });
  });

  test("programs in its bin are found first, and by their place", async () => {
    expect(await outputOf((await start(["true"])).job)).toBe("our own\n");
    const { job, folder } = await start(["solve"]);
    const cwd = harness.driver.reach.bubblewrap ? "/working_dir" : folder;
    expect(await outputOf(job)).toBe(`solved in ${cwd}\n`);
    const local = await start(["./run"], { files: { run: "" } }).catch((error: unknown) => error);
    expect(local).toMatchObject({ code: "IMAGE_UNUSABLE" });
  });

  test("the command takes the place of that of a folder for calls; a folder for jobs serves no calls", async () => {
    const { job } = await start(["sh", "-c", "echo a job"], { image: "test/echo" });
    expect(await outputOf(job)).toBe("a job\n");
    const image = await harness.driver.resolve("test/solver", { refresh: "missing" }, neverAborted());
    const called = await harness.driver
      .start(specFor("test/solver", image), neverAborted())
      .catch((error: unknown) => error as ExecutorError);
    expect(called).toMatchObject({ code: "IMAGE_UNUSABLE" });
    expect((called as ExecutorError).message).toContain("made for jobs");
    await expect(harness.driver.checkImage("test/solver", neverAborted())).rejects.toMatchObject({
      code: "IMAGE_UNUSABLE",
    });
    await expect(harness.driver.checkImage("test/echo", neverAborted())).resolves.toBeUndefined();
  });

  test("a user cannot be asked for: each job has one of its own, and no other job's folder", async () => {
    expect(await start(["true"], { user: "0" }).catch((error: unknown) => error)).toMatchObject({
      code: "SANDBOX_START_FAILED",
    });
    const first = await start(["sh", "-c", "umask 022; id -u > mine; mv mine uid; sleep 1000"]);
    await poll("the first one's file is there", () =>
      stat(join(first.folder, "uid")).then(() => true as const, String),
    );
    const second = await start([
      "sh",
      "-c",
      `id -u; cat ${join(first.folder, "uid")} || echo kept out; kill -0 1 && echo can signal`,
    ]);
    const output = await outputOf(second.job);
    expect(output).toContain("kept out");
    const [uid] = output.split("\n");
    expect(Number(uid)).toBeGreaterThan(0);
    await first.job.end(0);
    expect((await stat(join(first.folder, "uid"))).uid).not.toBe(Number(uid));
    // When the job is gone the folder is its daemon's again.
    await first.job.remove();
    expect((await stat(first.folder)).uid).toBe(0);
  });

  test("a shared folder that jobs cannot pass is told before the job starts, where they see the host's", async () => {
    const { localPath } = harness.jobs.shared;
    await chmod(localPath, 0o700);
    try {
      const outcome = await start(["true"]).catch((error: unknown) => error);
      if (harness.driver.reach.bubblewrap) expect(outcome).toHaveProperty("job");
      else expect(String(outcome)).toContain(`chmod a+x`);
    } finally {
      await chmod(localPath, 0o755);
    }
  });
});
