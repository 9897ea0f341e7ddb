import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { launchDirectly } from "./launch.ts";

test("the last words that lie in front of a daemon that stood still past its deadline are read", async () => {
  const folder = await mkdtemp(join(tmpdir(), "hearth-launch-"));
  try {
    const argv = ["/bin/sh", "-c", "echo last words; echo > said"];
    const task = await launchDirectly({ argv, folder, environment: {} });
    setTimeout(task.closeOutput, 1);
    // Nothing of this process has a turn until all is said and the deadline is over.
    const still = new Int32Array(new SharedArrayBuffer(4));
    for (let round = 0; round < 6000 && !existsSync(join(folder, "said")); round += 1)
      Atomics.wait(still, 0, 0, 10);
    Atomics.wait(still, 0, 0, 10);
    await task.drained;
    expect(task.ring.tail(100).text).toBe("last words\n");
    expect(await task.exited).toEqual({ type: "exited", exitCode: 0 });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("where no more files can be opened a process is refused, and the daemon goes on", () => {
  const program = fileURLToPath(new URL("../../../../test/support/no-more-files.mjs", import.meta.url));
  const words = ["-c", 'ulimit -n 200; exec "$0" --import tsx "$1"', process.execPath, program];
  const { stdout, stderr } = spawnSync("/bin/sh", words, { encoding: "utf8", timeout: 60_000 });
  expect(stderr).toBe("");
  expect(stdout.split("\n")).toEqual([
    "SANDBOX_START_FAILED EMFILE EMFILE EMFILE",
    "nvidia-smi cannot be started: spawn /bin/true EMFILE",
    "the reader of GPUs cannot be started: spawn /bin/true EMFILE",
    "",
  ]);
}, 90_000);
