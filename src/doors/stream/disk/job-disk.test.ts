import { mkdir, readdir, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FakeDisk } from "../../../../test/support/fake-disk.ts";
import { poll } from "../../../../test/support/poll.ts";
import { ScriptedDoor } from "../../../../test/support/scripted-jobs.ts";
import { VirtualClock } from "../../../../test/support/virtual-clock.ts";
import type { FleetBoard, FleetHost } from "../../../core/index.ts";
import { ExecutorError, MEBIBYTE } from "../../../core/index.ts";
import { silentLog } from "../../../telemetry/index.ts";
import { JobDisk } from "./job-disk.ts";

const DISK = { reserveBytes: 1, jobBytes: 4 * MEBIBYTE, parts: 2 };
const full = (): ExecutorError => new ExecutorError("DISK_FULL");

test("a job that writes more than it may is ended at once for that, and its neighbour is not", async () => {
  await using world = await ScriptedDoor.open({ disk: DISK, concurrency: 2 });
  const greedy = world.submit({ id: "greedy" });
  const first = await world.started(0);
  const modest = world.submit({ id: "modest" });
  const second = await world.started(1);
  await writeFile(join(second.order.workDir.localPath, "some"), Buffer.alloc(MEBIBYTE, 1));
  for (let at = 0; at < 5; at += 1)
    await writeFile(join(first.order.workDir.localPath, `f${at}`), Buffer.alloc(MEBIBYTE, 1));
  expect(await world.event("TaskCompleted")).toMatchObject({
    json: { id: greedy, status: "failed", detail: `it wrote more than its ${4 * MEBIBYTE} bytes of disk` },
  });
  expect([...world.objects]).toEqual([`t/${greedy}/output.zip`]);
  expect(first.stops).toEqual(["disk"]);
  expect(second.stops).toEqual([]);
  second.exit();
  await world.until(
    "both are over",
    () => world.types().filter((type) => type === "TaskCompleted").length === 2,
  );
  expect(world.queue.events.at(-1)).toMatchObject({ json: { id: modest, status: "success" } });
});

test("what a host's disk can never hold is left to another host, and told at the start", async () => {
  await using world = await ScriptedDoor.open({
    disk: { ...DISK, jobBytes: Number.MAX_SAFE_INTEGER },
    claimAhead: 1,
  });
  world.submit();
  await world.until("it is handed back", () => world.log.includes("claim.released"));
  expect(world.types()).toEqual([]);
  expect(world.log).toContain("executer-type.unfit");
});

test("a reserve that is all of the disk is told at the start, with its setting and both sizes", async () => {
  const told: unknown[] = [];
  const log = {
    log: (level: string, event: string, fields: object = {}) => {
      if (event === "work-folder.reserved") told.push({ level, ...fields });
    },
  };
  const reserveBytes = Number.MAX_SAFE_INTEGER;
  await using world = await ScriptedDoor.open({ disk: { ...DISK, reserveBytes } }, { log });
  await world.until("it was told", () => told.length === 1);
  const { blocks, bsize } = await statfs(tmpdir());
  const totalBytes = blocks * bsize;
  expect(told).toEqual([
    { level: "error", setting: "stream.disk_reserve", reserveBytes, totalBytes, folder: world.folder },
  ]);
  await using other = await ScriptedDoor.open({ disk: DISK });
  other.submit();
  await other.started();
  expect(other.log).not.toContain("work-folder.reserved");
});

test("a job waits for the disk that others may still fill, and gets it when they have ended", async () => {
  // Each may take more than half of what there is.
  const free = await freeBytes();
  const jobBytes = Math.floor(free * 0.6);
  await using world = await ScriptedDoor.open({ disk: { ...DISK, jobBytes }, concurrency: 2, claimAhead: 2 });
  world.submit({ id: "first" });
  world.submit({ id: "second" });
  const first = await world.started(0);
  await world.until("both are here", () => world.door.view().jobs.length === 2);
  expect(world.jobs).toHaveLength(1);
  first.exit();
  (await world.started(1)).exit();
  await world.until(
    "both are over",
    () => world.types().filter((type) => type === "TaskCompleted").length === 2,
  );
});

test("what jobs may write is booked on the host's disk, which the fleet is told of, and given back at their ends", async () => {
  const hostDisk = new FakeDisk();
  let told: FleetHost | undefined;
  const board: FleetBoard = {
    ready: () => Promise.resolve(),
    publish: (host) => {
      told = host;
      return Promise.resolve();
    },
    hosts: () => Promise.resolve([]),
    withdraw: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  await using world = await ScriptedDoor.open(
    { disk: DISK, concurrency: 2, fleetMs: 10 },
    { hostDisk, board },
  );
  world.submit();
  world.submit();
  const jobs = [await world.started(0), await world.started(1)];
  expect(hostDisk.reservedBytes()).toBe(2 * 4 * MEBIBYTE);
  await poll("the fleet was told", () => told?.reserved.diskBytes === 8 * MEBIBYTE || JSON.stringify(told));
  expect(told?.capacity).toMatchObject({ diskBytes: hostDisk.capacityBytes });
  for (const job of jobs) job.exit();
  await poll("all is given back", () => hostDisk.reservedBytes() === 0 || `${hostDisk.reservedBytes()}`);
  await poll("the fleet was told", () => told?.reserved.diskBytes === 0 || JSON.stringify(told));
});

test("whoever waits for disk has it as soon as another gives it back", async () => {
  const limits = { ...DISK, jobBytes: Math.floor((await freeBytes()) * 0.6) };
  const disk = new JobDisk(tmpdir(), limits, { clock: new VirtualClock(), log: silentLog });
  const never = new AbortController().signal;
  const first = await disk.take(undefined, never);
  let has = false;
  const second = disk.take(undefined, never).then(() => (has = true));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(has).toBe(false);
  first.release();
  // The clock stands still: nothing but the release lets it go on.
  await second;
});

test("without room for an archive, files that are no results give way to it", async () => {
  await using world = await ScriptedDoor.open();
  let failures = 1;
  let left: readonly string[] = [];
  const id = world.submit();
  const job = await world.started();
  const folder = job.order.workDir.localPath;
  await mkdir(join(folder, "output"));
  await writeFile(join(folder, "filler"), "x");
  world.steps.pack = async () => {
    failures -= 1;
    if (failures >= 0) throw full();
    left = await readdir(folder);
  };
  job.exit();
  expect(await world.event("TaskCompleted")).toMatchObject({ json: { id, status: "success" } });
  expect(left).toEqual(["output"]);
  expect([...world.objects]).toEqual([`t/${id}/output.zip`]);
});

test.each([
  ["leave no room for an archive", full, 2],
  ["are more than is packed", () => new ExecutorError("ARCHIVE_TOO_LARGE"), 1],
])(
  "results that %s are left out: what the job printed is published, and why",
  async (_what, fault, times) => {
    await using world = await ScriptedDoor.open();
    let failures = times;
    world.steps.pack = () => {
      failures -= 1;
      return failures >= 0 ? Promise.reject(fault()) : Promise.resolve();
    };
    const id = world.submit();
    (await world.started()).exit();
    expect(await world.event("TaskCompleted")).toMatchObject({
      json: { id, status: "failed", detail: expect.stringContaining("its results could not be packed: ") },
    });
    expect([...world.objects]).toEqual([`t/${id}/output.zip`]);
  },
);

test("results that their store has no room for are left out after they were tried: what the job printed is published", async () => {
  await using world = await ScriptedDoor.open({ uploadPatienceMs: 0 });
  let refusals = 1;
  world.steps.upload = () => {
    refusals -= 1;
    return refusals >= 0 ? Promise.reject(full()) : Promise.resolve();
  };
  const id = world.submit();
  (await world.started()).exit();
  expect(await world.event("TaskCompleted")).toMatchObject({
    json: { id, status: "failed", detail: expect.stringContaining("its results could not be stored: ") },
  });
  expect([...world.objects]).toEqual([`t/${id}/output.zip`]);
});

async function freeBytes(): Promise<number> {
  const { bavail, bsize } = await statfs(tmpdir());
  return bavail * bsize;
}
