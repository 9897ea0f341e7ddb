/** The real reader, in its own process, on a stand-in for the driver (`fake-nvml.ts`): nothing here has seen a real GPU. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { GpuMonitorOptions, OpenGpuMonitor } from "../../src/drivers/gpu/index.ts";
import { openGpuMonitor } from "../../src/drivers/gpu/index.ts";
import type { FakeNvml } from "../support/fake-nvml.ts";
import { openFakeNvml } from "../support/fake-nvml.ts";
import { poll } from "../support/poll.ts";

const hasGcc = spawnSync("gcc", ["--version"]).status === 0;
const FREEZER = "/sys/fs/cgroup/freezer";
/** A reader that is late because this machine stands still is not given up. */
const STEADY = {
  ...{ firstWordMs: 60_000, silentMs: 60_000 },
  ...{ firstRetryMs: 50, maxRetryMs: 200, smiForMs: 600_000 },
};
/** For hangs: one that has been heard is given up soon, as is the next one, which is silent from the start. */
const HASTY = { ...STEADY, firstWordMs: 15_000, silentMs: 500 };

let folder: string;
let reader: string;
let nvml: FakeNvml;
let monitor: OpenGpuMonitor | undefined;

beforeAll(async () => {
  // Inside the repository, so that koffi is found.
  const out = fileURLToPath(new URL("../../out/", import.meta.url));
  await mkdir(out, { recursive: true });
  folder = await mkdtemp(join(out, "gpu-"));
  reader = join(folder, "gpu-reader.mjs");
  const entry = fileURLToPath(new URL("../../src/drivers/gpu/reader/main.ts", import.meta.url));
  await build({
    entryPoints: [entry],
    outfile: reader,
    bundle: true,
    platform: "node",
    format: "esm",
    external: ["koffi"],
    logLevel: "error",
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  if (hasGcc) nvml = await openFakeNvml();
});
afterEach(async () => {
  await monitor?.[Symbol.asyncDispose]();
  monitor = undefined;
  delete process.env["HEARTH_NVML_LIBRARY"];
  if (hasGcc) await nvml[Symbol.asyncDispose]();
});

function open(more: Partial<GpuMonitorOptions> = {}, library = nvml.library): OpenGpuMonitor {
  process.env["HEARTH_NVML_LIBRARY"] = library;
  monitor = openGpuMonitor({
    isEnabled: true,
    pollMs: 50,
    reader: [process.execPath, reader],
    surroundings: { env: {}, isInContainer: false },
    smi: "no-such-nvidia-smi",
    patience: STEADY,
    ...more,
  });
  return monitor;
}

const ids = (one: OpenGpuMonitor): string[] => one.readings().map(({ id }) => id);
const healthOf = (one: OpenGpuMonitor, index: number): string => {
  const health = one.readings().find((reading) => reading.index === index)?.health;
  return health === undefined ? "absent" : health.isHealthy ? "well" : health.reason;
};
const until = (what: string, ask: () => boolean, say: () => string): Promise<void> =>
  poll(what, () => ask() || say());
const show = (one: OpenGpuMonitor) => (): string =>
  JSON.stringify([one.source, one.trouble, one.readings().map(({ index, health }) => [index, health])]);
const cardIds = (): string[] => nvml.cards.map(({ id }) => id);

async function readers(): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (readFileSync(`/proc/${name}/cmdline`, "utf8").includes(reader)) found.push(Number(name));
    } catch {
      // It has gone meanwhile.
    }
  }
  return found;
}

/** @returns whether it is still there. */
function removeGroup(group: string): boolean {
  try {
    rmdirSync(group);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
  }
  return existsSync(group);
}

describe.skipIf(!hasGcc)("the GPU monitor (needs gcc)", () => {
  test.each([
    ["of today", false],
    ["of long ago", true],
  ])("M23: a driver %s tells count, models, UUIDs, memory, use and processes", async (_, isOld) => {
    await using other = await openFakeNvml({ isOld });
    // More processes than the first list has room for.
    const pids = Array.from({ length: 100 }, (__, at) => 1000 + at);
    other.set(1, { usedMib: 40_960, computePercent: 73, pids });
    const gpus = open({}, other.library);
    await gpus.looked();
    expect(gpus).toMatchObject({ source: "nvml", trouble: undefined, driverVersion: "550.54.15" });
    expect(gpus.readings()).toHaveLength(4);
    expect(gpus.readings()[1]).toEqual({
      id: other.cards[1]?.id,
      index: 1,
      model: "NVIDIA A100-SXM4-80GB",
      memoryBytes: 81_920 * 2 ** 20,
      memoryUsedBytes: 40_960 * 2 ** 20,
      computePercent: 73,
      health: { isHealthy: true },
      pids,
    });
    expect(gpus.readings()[3]).toMatchObject({ model: "Tesla T4", computePercent: 0, pids: [] });
    // By minor number, which is another order than the index.
    expect(gpus.nodesOf([other.cards[0]?.id ?? ""])[0]).toBe("/dev/nvidia3");
    expect(gpus.nodesOf([])).toEqual([]);
  });

  test("M24: a card that somebody else makes busy reads so, and listeners hear of it", async () => {
    const gpus = open();
    await gpus.looked();
    let heard = 0;
    gpus.onChange(() => {
      heard += 1;
    });
    nvml.set(2, { computePercent: 90, pids: [4242] });
    await until("card 2 is busy", () => gpus.readings()[2]?.computePercent === 90, show(gpus));
    expect(heard).toBe(1);
    nvml.set(2, { computePercent: 0, pids: [] });
    await until("card 2 is idle", () => gpus.readings()[2]?.computePercent === 0, show(gpus));
    expect(heard).toBe(2);
  });

  test("M24: cards outside of the given subset never appear, also when indices move", async () => {
    const gpus = open({ only: ["1", cardIds()[3] ?? ""] });
    await gpus.looked();
    expect(ids(gpus)).toEqual([cardIds()[1], cardIds()[3]]);
    nvml.set(0, { isListed: false });
    await until("card 1 has another index", () => gpus.readings()[0]?.index === 0, show(gpus));
    // What is at index 1 now is a card that was not chosen.
    expect(ids(gpus)).toEqual([cardIds()[1], cardIds()[3]]);
  });

  test("M24: the daemon's own CUDA_VISIBLE_DEVICES narrows the choice", async () => {
    const gpus = open({ surroundings: { env: { CUDA_VISIBLE_DEVICES: "2,3" }, isInContainer: false } });
    await gpus.looked();
    expect(ids(gpus)).toEqual(cardIds().slice(2));
  });

  test("E7: a card that vanishes, is lost or is ill says why, and the others go on", async () => {
    const gpus = open();
    await gpus.looked();
    nvml.set(3, { isListed: false });
    await until("card 3 is gone", () => healthOf(gpus, 3).includes("no longer lists"), show(gpus));
    nvml.set(2, { code: 15 });
    await until("card 2 is lost", () => healthOf(gpus, 2).includes("GPU is lost"), show(gpus));
    nvml.set(1, { code: 16 });
    await until("card 1 fails", () => healthOf(gpus, 1).includes("NVML 16"), show(gpus));
    expect([gpus.readings().length, healthOf(gpus, 0), gpus.source]).toEqual([4, "well", "nvml"]);
    for (const index of [1, 2, 3]) nvml.set(index, { isListed: true, code: 0 });
    await until("all are well", () => [0, 1, 2, 3].every((at) => healthOf(gpus, at) === "well"), show(gpus));
  });

  test("memory errors, error reports of the driver and slices make a card unhealthy; a program's own fault does not", async () => {
    nvml.set(0, { eccErrors: 2 });
    nvml.behave("mig 3", "xid 1 31");
    const gpus = open();
    await gpus.looked();
    expect(healthOf(gpus, 0)).toContain("2 uncorrected memory errors");
    expect(healthOf(gpus, 3)).toContain("MIG");
    nvml.behave("mig 3", "xid 1 31", "xid 2 79");
    await until("card 2 is broken", () => healthOf(gpus, 2).includes("XID 79"), show(gpus));
    expect(healthOf(gpus, 1)).toBe("well");
    // The report came once, to a reader that is gone; what it said stays true.
    nvml.behave("mig 3");
    const old = await readers();
    for (const pid of old) process.kill(pid, "SIGKILL");
    await poll("the reader is a new one", async () => {
      const now = await readers();
      return (now.length > 0 && now.every((pid) => !old.includes(pid))) || now.join();
    });
    await until("cards are read again", () => gpus.source === "nvml", show(gpus));
    expect(healthOf(gpus, 2)).toContain("XID 79");
  });

  test.each(["count", "memory"])(
    "E7: a driver that hangs in %s is given up, and taken up when it answers",
    async (call) => {
      const gpus = open({ patience: HASTY });
      await gpus.looked();
      nvml.behave(`hang ${call}`);
      await until("the hang is seen", () => gpus.trouble?.includes("has not answered") ?? false, show(gpus));
      expect(gpus.readings().map(({ health }) => health.isHealthy)).toEqual([false, false, false, false]);
      nvml.behave();
      await until(
        "cards are read again",
        () => gpus.source === "nvml" && healthOf(gpus, 0) === "well",
        show(gpus),
      );
      await poll("there is one reader", async () => (await readers()).length === 1 || "not one");
    },
  );

  test("E7: a driver that hangs from the start delays neither opening nor closing, and leaves no process", async () => {
    nvml.behave("hang init");
    const gpus = open();
    expect([gpus.source, gpus.readings()]).toEqual(["none", []]);
    await poll("the reader runs", async () => (await readers()).length === 1 || "it does not");
    await gpus[Symbol.asyncDispose]();
    await poll("the reader is gone", async () => (await readers()).length === 0 || "it is not");
  });

  test.each([
    ["has no driver loaded", ["fail init 9"], "Driver Not Loaded"],
    ["fails when asked", ["fail count 999"], "Unknown Error"],
  ])("E7: a library that %s is told with its reason, and tried again", async (_, lines, reason) => {
    nvml.behave(...lines);
    const gpus = open();
    await gpus.looked();
    expect(gpus).toMatchObject({ source: "none", trouble: expect.stringContaining(reason) });
    expect(gpus.readings()).toEqual([]);
    nvml.behave();
    await until("cards are read", () => gpus.readings().length === 4, show(gpus));
    expect(gpus).toMatchObject({ source: "nvml", trouble: undefined });
  });

  test.skipIf(!existsSync(FREEZER))(
    "E7: a reader that not even SIGKILL ends is left alone, and no other is started beside it (needs cgroup v1)",
    async () => {
      // Frozen there, a process stays as one does that hangs in the kernel: the signal waits until it is let go.
      const group = join(FREEZER, `hearth-gpu-${process.pid}`);
      const gpus = open({ patience: HASTY });
      await gpus.looked();
      const [pid = 0] = await readers();
      mkdirSync(group);
      try {
        writeFileSync(join(group, "cgroup.procs"), String(pid));
        writeFileSync(join(group, "freezer.state"), "FROZEN");
        await until(
          "the hang is seen",
          () => gpus.trouble?.includes("has not answered") ?? false,
          show(gpus),
        );
        await new Promise((resolve) => setTimeout(resolve, 10 * HASTY.maxRetryMs));
        expect(await readers()).toEqual([pid]);
        await gpus[Symbol.asyncDispose]();
        expect(await readers()).toEqual([pid]);
      } finally {
        writeFileSync(join(group, "freezer.state"), "THAWED");
        await poll("the reader is gone", async () => (await readers()).length === 0 || "it is not");
        // Until it has been waited for, its group cannot go.
        await poll("the group is gone", () => !removeGroup(group) || "it is in use");
      }
    },
  );

  test("off, nothing runs; it can be turned on and off while the daemon lives", async () => {
    const gpus = open({ isEnabled: false });
    await gpus.looked();
    expect([gpus.readings(), await readers(), gpus.trouble]).toEqual([[], [], undefined]);
    gpus.setEnabled(true);
    await gpus.looked();
    expect(gpus.readings()).toHaveLength(4);
    gpus.setEnabled(false);
    expect([gpus.readings(), gpus.source, gpus.trouble]).toEqual([[], "none", undefined]);
    await poll("no reader runs", async () => (await readers()).length === 0 || "one does");
  });

  test("the reader ends with a daemon that is killed, even while the driver hangs", async () => {
    nvml.behave("hang init");
    const parent = [
      `import { spawn } from "node:child_process";`,
      `spawn(process.execPath, [${JSON.stringify(reader)}, "50"], { stdio: ["pipe", "pipe", "ignore"] });`,
      `setInterval(() => {}, 1000);`,
    ].join("\n");
    const { spawn } = await import("node:child_process");
    const child = spawn(process.execPath, ["--input-type=module", "-e", parent], {
      env: { ...process.env, HEARTH_NVML_LIBRARY: nvml.library },
      stdio: "ignore",
    });
    const hangs = async (): Promise<true | string> => {
      const [pid] = (await readers()).filter((one) => one !== child.pid);
      const state = pid === undefined ? "no reader" : readFileSync(`/proc/${pid}/maps`, "utf8");
      return state.includes("libnvidia-ml") || "the library is not loaded";
    };
    try {
      await poll("the reader is in the driver", hangs);
    } finally {
      child.kill("SIGKILL");
    }
    await poll("the reader is gone", async () => (await readers()).length === 0 || "it is not");
  });
});

describe("without NVML", () => {
  const noLibrary = join(tmpdir(), "hearth-no-such-library.so");

  test("M24: neither library nor nvidia-smi is a normal state", async () => {
    const gpus = open({}, noLibrary);
    await gpus.looked();
    expect(gpus).toMatchObject({
      source: "none",
      trouble: `NVIDIA's library ${noLibrary} is not there; nvidia-smi is not there`,
    });
    expect(gpus.readings()).toEqual([]);
  });

  test("M24: an installation without its optional packages says so, and goes on with nvidia-smi", async () => {
    const alone = await mkdtemp(join(tmpdir(), "hearth-reader-"));
    try {
      copyFileSync(reader, join(alone, "gpu-reader.mjs"));
      const gpus = open({ reader: [process.execPath, join(alone, "gpu-reader.mjs")] }, noLibrary);
      await gpus.looked();
      expect(gpus.trouble).toMatch(/koffi.* is not installed; nvidia-smi is not there$/);
    } finally {
      await rm(alone, { recursive: true });
    }
  });

  test("E7: nvidia-smi is asked instead; when it hangs it is killed and its cards are unhealthy", async () => {
    const smi = join(folder, "nvidia-smi");
    const mode = join(folder, "smi-mode");
    const card = "0, GPU-1, 00000000:3B:00.0, 15360, 3, 0, [N/A], 470.1, Tesla T4";
    writeFileSync(smi, `#!/bin/sh\n[ "$(cat ${mode})" = well ] || exec sleep 60\necho '${card}'\n`);
    chmodSync(smi, 0o755);
    writeFileSync(mode, "well");
    const gpus = open({ smi }, noLibrary);
    await gpus.looked();
    expect(gpus).toMatchObject({ source: "nvidia-smi", trouble: undefined, driverVersion: "470.1" });
    expect(gpus.readings()).toMatchObject([
      { id: "GPU-1", model: "Tesla T4", memoryBytes: 15_360 * 2 ** 20 },
    ]);
    writeFileSync(mode, "hangs");
    await until("the hang is seen", () => healthOf(gpus, 0).includes("has not answered for 5 s"), show(gpus));
    writeFileSync(mode, "well");
    await until("the card is well", () => healthOf(gpus, 0) === "well", show(gpus));
  });
});
