/** Real processes; the cards are device files of a test's own, since nothing here has a GPU. */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Sandbox } from "../../src/core/index.ts";
import { findTool } from "../../src/drivers/process/tools.ts";
import { postOverHttp } from "../conformance/sandbox-driver/harness.ts";
import { neverAborted, specFor } from "../conformance/sandbox-driver/scene.ts";
import { freshName } from "../support/fresh-name.ts";
import type { ProcessHarness } from "../support/process-harness.ts";
import { openProcessHarness } from "../support/process-harness.ts";

const isRoot = process.getuid?.() === 0;
const hasBubblewrap = findTool("bwrap") !== undefined;
const NODES = ["GPU-a", "GPU-b", "control"];
const RESOURCES = { cpuMillis: 1000, memoryBytes: 128 * 1_048_576, gpuMemoryBytes: 0 };

describe.skipIf(!isRoot)("cards for processes (needs root, to make device files)", () => {
  let harness: ProcessHarness;
  let tells: string;
  const mark = freshName("hearth-test");
  // Where the real ones are: inside, bubblewrap gives a file the folder that it has outside.
  const node = (name: string): string => `/dev/${mark}-${name}`;

  beforeAll(async () => {
    for (const name of NODES) {
      // The numbers of /dev/null: a file that can be opened, and is none of those that every task has.
      execFileSync("mknod", ["-m", "666", node(name), "c", "1", "3"]);
    }
    harness = await openProcessHarness({
      cardNodes: (ids) => (ids.length === 0 ? [] : [...ids, "control", "absent"].map(node)),
    });
    tells = await harness.addTask("tells", {
      command: ["node", "behave.mjs", "tells"],
      // What a task folder says of cards does not count.
      env: { CUDA_VISIBLE_DEVICES: "0,1,2,3", NVIDIA_VISIBLE_DEVICES: "all" },
    });
  });
  afterAll(async () => {
    await harness[Symbol.asyncDispose]();
    for (const name of NODES) rmSync(node(name), { force: true });
  });

  async function look(gpuIds: readonly string[]): Promise<{ env: string[]; opened: string[] }> {
    const resolved = await harness.driver.resolve(tells, { refresh: "missing" }, neverAborted());
    const resources = { ...RESOURCES, gpuCount: gpuIds.length };
    const spec = { ...specFor(tells, resolved, { task: { resources } }), gpuIds };
    const sandbox: Sandbox = await harness.driver.start(spec, neverAborted());
    const program = `export default async (require) => {
      const fs = require("node:fs");
      const { CUDA_VISIBLE_DEVICES, NVIDIA_VISIBLE_DEVICES } = process.env;
      const opened = ${JSON.stringify(NODES)}.filter((name) => {
        try { fs.closeSync(fs.openSync(${JSON.stringify(node(""))} + name, "r+")); return true; } catch { return false; }
      });
      return { env: [CUDA_VISIBLE_DEVICES, NVIDIA_VISIBLE_DEVICES], opened };
    }`;
    try {
      return JSON.parse((await postOverHttp(sandbox, program)).body) as { env: string[]; opened: string[] };
    } finally {
      await sandbox.stop(0);
    }
  }

  test("M23: both variables name exactly the cards that it was given, or say that there are none", async () => {
    expect((await look(["GPU-a", "GPU-b"])).env).toEqual(["GPU-a,GPU-b", "GPU-a,GPU-b"]);
    expect((await look([])).env).toEqual(["", "void"]);
  });

  test.skipIf(!hasBubblewrap)(
    "M23: inside bubblewrap there are the files of these cards and those for control, and no others",
    async () => {
      expect((await look(["GPU-b"])).opened).toEqual(["GPU-b", "control"]);
      expect((await look([])).opened).toEqual([]);
    },
  );
});
