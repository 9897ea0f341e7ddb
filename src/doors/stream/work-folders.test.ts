import { mkdir, mkdtemp, readdir, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { removeFolder } from "./remove-folder.ts";
import { WorkFolders } from "./work-folders.ts";

let shared = "";
let own = "";

beforeEach(async () => {
  shared = await mkdtemp(join(tmpdir(), "hearth-folders-"));
  own = join(shared, ".hearth/me");
});
afterEach(async () => removeFolder(shared));

/** As one life of the daemon has them. */
const life = (): WorkFolders =>
  new WorkFolders({ localPath: shared, hostPath: "/on/the/host" }, "me", "/working_dir");

test("a work folder is made empty and ours alone, and gone with all that says it is ours", async () => {
  const folders = life();
  const made = await folders.make("job1");
  expect(made.workDir).toEqual({
    localPath: join(shared, "job1"),
    hostPath: "/on/the/host/job1",
    target: "/working_dir",
  });
  expect((await stat(made.workDir.localPath)).mode & 0o777).toBe(0o700);
  await writeFile(join(made.workDir.localPath, "left"), "");
  await folders.remove("job1");
  expect(await readdir(shared)).toEqual([".hearth"]);
  expect(await readdir(own)).toEqual([]);
});

test("D14: what a life leaves at any step is swept by the next one, except of jobs that go on", async () => {
  const folders = life();
  for (const jobId of ["made", "kept", "travels"]) await folders.make(jobId);
  const { scratch } = await folders.ensureScratch("travels");
  await writeFile(join(scratch, "output.zip"), "half");
  // As an older release has marked it.
  await mkdir(join(own, "older"));
  await mkdir(join(shared, "older"));
  await mkdir(join(shared, "foreign"));

  const next = life();
  expect([...(await next.sweep(new Set(["kept"])))].sort()).toEqual(["made", "older", "travels"]);
  expect((await readdir(shared)).sort()).toEqual([".hearth", "foreign", "kept"]);
  await next.remove("kept");
  expect(await readdir(own)).toEqual([]);
});

test("what an earlier try left is removed before the folder is made anew, also where no mark tells of it", async () => {
  const folders = life();
  const { workDir } = await folders.make("job1");
  await writeFile(join(workDir.localPath, "left"), "");
  await folders.make("job1");
  expect(await readdir(workDir.localPath)).toEqual([]);
  expect(await readdir(own)).toEqual(["job1"]);

  await mkdir(join(shared, "job2/deep"), { recursive: true });
  await folders.make("job2");
  expect(await readdir(join(shared, "job2"))).toEqual([]);
});

test("a folder that is not ours is not removed", async () => {
  await mkdir(join(shared, "job1"));
  await life().remove("job1");
  expect(await readdir(shared)).toEqual(["job1"]);
});

test("a job whose files travel is marked by its scratch folder alone", async () => {
  const folders = life();
  const { scratch } = await folders.make("job1", true);
  expect(await readdir(own)).toEqual(["job1@files"]);
  await writeFile(join(scratch, "input.zip"), "");
  const next = life();
  await next.sweep(new Set(["job1"]));
  await next.make("job1", true);
  expect([await readdir(own), await readdir(scratch)]).toEqual([["job1@files"], []]);
  await next.remove("job1");
  expect(await readdir(own)).toEqual([]);
});

test("a scratch folder is ours alone, is there again when it is asked for again, and goes with its job", async () => {
  const folders = life();
  const { scratch } = await folders.ensureScratch("job1");
  expect((await stat(scratch)).mode & 0o777).toBe(0o700);
  await writeFile(join(scratch, "input.zip"), "");
  expect((await folders.ensureScratch("job1")).scratch).toBe(scratch);
  expect(await readdir(scratch)).toEqual(["input.zip"]);
  await folders.remove("job1");
  expect(await readdir(own)).toEqual([]);
});

test("why a job is being ended is known to the next life, told once, and gone with the job", async () => {
  const folders = life();
  for (const jobId of ["runs", "waits", "goes"]) await folders.make(jobId);
  await folders.noteStop("runs", "drain");
  await folders.noteStop("runs", "killed");
  await folders.noteStop("runs", "killed");
  await folders.noteStop("goes", "time");
  await folders.remove("goes");
  // One that has not begun has nothing but this.
  await folders.noteStop("unbegun", "killed");
  await folders.noteStop("../outside", "killed");
  const next = life();
  await next.sweep(new Set(["runs"]));
  expect(["runs", "waits", "goes", "unbegun"].map((jobId) => next.takeStop(jobId))).toEqual([
    "killed",
    undefined,
    undefined,
    "killed",
  ]);
  expect(next.takeStop("runs")).toBeUndefined();
  await next.remove("runs");
  expect(await readdir(own)).toEqual([]);
  expect(await readdir(join(shared, ".hearth"))).toEqual(["me"]);
});

test("that a job is to end does not make a folder ours that another daemon has made", async () => {
  await life().noteStop("theirs", "killed");
  await mkdir(join(shared, "theirs"));
  await life().sweep(new Set());
  const living = life();
  await living.noteStop("theirs", "killed");
  await living.remove("theirs");
  expect(await readdir(shared)).toEqual([".hearth", "theirs"]);
  expect(await readdir(own)).toEqual([]);
});
