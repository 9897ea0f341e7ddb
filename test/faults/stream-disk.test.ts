import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { poll } from "../support/poll.ts";
import { outputOf } from "../support/run-program.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { StreamWorld } from "../support/stream-world.ts";

const MEBIBYTE = 1_048_576;
const LIMIT_MB = 8;
const SCRIPTS = {
  "test.greedy":
    "mkdir -p output/artifacts; echo kept > output/artifacts/k.txt; echo said; at=0; while :; do head -c 1048576 /dev/zero > f$at; at=$((at + 1)); sleep 0.2; done",
  "test.modest":
    "mkdir -p output/artifacts; for at in 1 2 3 4 5 6; do head -c 524288 /dev/zero > f$at || exit 9; sleep 0.5; done; echo '[]' > output/output.json",
  "test.fill":
    "mkdir -p output/artifacts; echo kept > output/artifacts/k.txt; echo said; head -c 200000000 /dev/zero > fill; exit 3",
} as const;

const isRoot = process.getuid?.() === 0;
let world: StreamWorld;
let host: Daemon;
let disk: string;
const ends: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  if (!isRoot) return;
  world = await StreamWorld.open({ types: { shell: "shell", held: { image: "shell", disk: LIMIT_MB } } });
  ends.push(async () => await world[Symbol.asyncDispose]());
  const commands = Object.entries(SCRIPTS).map(([name, text]) => [name, ["/bin/sh", "-c", text]] as const);
  await writeFile(join(world.folder, "methods.json"), JSON.stringify(Object.fromEntries(commands)));
  disk = join(world.folder, "disk");
  await mkdir(disk);
  await outputOf("mount", ["-t", "tmpfs", "-o", "size=64m", "tmpfs", disk]);
  ends.push(async () => await outputOf("umount", [disk]));
  const stateDir = join(world.folder, "one");
  host = await world.startHost("one", "", {
    stateDir,
    env: {
      HEARTH_STREAM_SHARED_DIR_LOCAL: disk,
      HEARTH_STREAM_CONCURRENCY: "2",
      // What is in a tmpfs is memory of whoever wrote it: here the disk is to be what ends first.
      HEARTH_STREAM_MEM: "256",
      HEARTH_STREAM_DISK_RESERVE: "16",
    },
  });
  ends.push(async () => await host.end("SIGTERM"));
}, 180_000);

afterAll(async () => {
  for (const end of ends.reverse()) await end();
});

test.runIf(isRoot)(
  "I7: a job that writes more than it may is ended for that; its results are there, and its neighbour goes on",
  async () => {
    const modest = await world.submit("test.modest", { type: "held" });
    const greedy = await world.submit("test.greedy", { type: "held" });
    expect(await world.ending(greedy)).toMatchObject({
      type: "TaskCompleted",
      json: {
        status: "failed",
        oom: false,
        detail: `it wrote more than its ${LIMIT_MB * MEBIBYTE} bytes of disk`,
      },
    });
    expect(await world.output(greedy)).toMatchObject({
      "artifacts/k.txt": "kept\n",
      "artifacts/stdout.txt": "said\n",
    });
    expect(await world.ending(modest)).toMatchObject({ json: { status: "success" } });
    await poll("its run says so", async () => {
      const ids = await host.cli("runs", "--quiet", "--outcome", "TASK_OUT_OF_DISK");
      return ids === `${greedy}~1` || ids;
    });
    expect(await host.cli("runs")).toMatch(new RegExp(`^${greedy}~1 .*failed .*TASK_OUT_OF_DISK$`, "m"));
    expect(await host.cli("runs", "show", `${greedy}~1`)).toContain("(TASK_OUT_OF_DISK)");
    // What is over is told before its folder is removed.
    await poll("nothing is left on the disk", async () => {
      const left = (await readdir(disk)).filter((name) => !name.startsWith("."));
      return left.length === 0 || left.join();
    });
  },
  240_000,
);

test.runIf(isRoot)(
  "I7: a job that fills the disk faster than one can look keeps its results and what it printed, and the next one runs",
  async () => {
    const id = await world.submit("test.fill");
    const { json } = await world.ending(id);
    // It meets the end of the disk itself, or is found above its part before that.
    expect("detail" in json && json.detail).toMatch(/exit code 3|bytes of disk/);
    expect(await world.output(id)).toMatchObject({
      "artifacts/k.txt": "kept\n",
      "artifacts/stdout.txt": "said\n",
    });
    const next = await world.submit("test.modest", { type: "held" });
    expect(await world.ending(next)).toMatchObject({ json: { status: "success" } });
  },
  240_000,
);
