import { spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { HostResources } from "../../src/gen/executor_api_pb.js";
import { GPUModel } from "../../src/gen/executor_api_pb.js";
import { openFakeNvml } from "../support/fake-nvml.ts";
import { DoubleServer } from "../support/indexify/double-server.ts";
import { TIED } from "../support/indexify/tied.ts";
import { poll } from "../support/poll.ts";
import { outputOf } from "../support/run-program.ts";
import { startDaemon } from "../support/start-daemon.ts";

const T4 =
  "0, GPU-aaaaaaaa-0000-1111-2222-333344445555, 00000000:3B:00.0, 15360, 1, 0, 0, 550.54.15, Tesla T4";

// Each starts a daemon, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-indexify-host-"));
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

interface Told {
  readonly whole: HostResources | undefined;
  readonly forWorkers: HostResources | undefined;
}

/** What a daemon tells a server of its host when it registers. */
async function toldBy(stateDir: string, env: Readonly<Record<string, string>> = {}): Promise<Told> {
  await using server = new DoubleServer();
  await server.start();
  await using _daemon = await startDaemon({
    config: "driver: process\n",
    under: TIED,
    stateDir,
    env: { HEARTH_INDEXIFY_SERVER_ADDR: `http://${server.address}`, ...env },
  });
  await poll("it is registered", () => server.executors.size === 1 || "not yet");
  const [executor] = server.executors.values();
  expect(server.violations).toEqual([]);
  return {
    whole: executor?.state?.totalResources,
    forWorkers: executor?.state?.totalContainerResources,
  };
}

/** A folder for `PATH` with an `nvidia-smi` that prints these rows; it shows how rows are read, not how a driver behaves. */
async function standIn(name: string, script: string): Promise<Readonly<Record<string, string>>> {
  const place = join(folder, name);
  await mkdir(place);
  await writeFile(join(place, "nvidia-smi"), `#!/bin/sh\n${script}\n`);
  await chmod(join(place, "nvidia-smi"), 0o755);
  return { PATH: `${place}${delimiter}${process.env["PATH"] ?? ""}`, HEARTH_HAS_GPU: "true" };
}

const prints = (...rows: readonly string[]): string => rows.map((row) => `echo '${row}'`).join("\n");
const named = (index: number, model: string): string =>
  T4.replace("0, GPU-aaaaaaaa", `${index}, GPU-${String(index).repeat(8)}`).replace("Tesla T4", model);

test("X8: CPUs, memory and disk are those of nproc, free and df; without cards there is no GPU field", async () => {
  const stateDir = join(folder, "state");
  const { whole, forWorkers } = await toldBy(stateDir);
  const memory = /^Mem:\s+(\d+)/m.exec(await outputOf("free", ["-b"]))?.[1] ?? "";
  const disk = (await outputOf("df", ["-B1", "--output=size", stateDir])).trim().split("\n").at(-1) ?? "";
  expect(whole).toMatchObject({
    cpuCount: Number(await outputOf("nproc", [])),
    memoryBytes: BigInt(memory),
    diskBytes: BigInt(disk.trim()),
  });
  expect(forWorkers?.diskBytes).toBe(whole?.diskBytes);
  expect(forWorkers?.cpuCount).toBeLessThanOrEqual(whole?.cpuCount ?? 0);
  expect(forWorkers?.memoryBytes).toBeLessThanOrEqual(whole?.memoryBytes ?? 0n);
  expect([whole?.gpu, forWorkers?.gpu]).toEqual([undefined, undefined]);
});

test("X8: a stand-in for nvidia-smi with two cards of a known model is told with count and model", async () => {
  const env = await standIn("two", prints(named(0, "Tesla T4"), named(1, "Tesla T4")));
  const { whole, forWorkers } = await toldBy(join(folder, "state-two"), env);
  const cards = { count: 2, model: GPUModel.GPU_MODEL_NVIDIA_TESLA_T4 };
  expect(whole?.gpu).toMatchObject(cards);
  expect(forWorkers?.gpu).toMatchObject(cards);
});

test("X8: the server is told of a host when its cards have been read, however long that takes", async () => {
  const env = await standIn("slow", `sleep 3\n${prints(named(0, "Tesla T4"))}`);
  const { whole } = await toldBy(join(folder, "state-slow"), env);
  expect(whole?.gpu).toMatchObject({ count: 1, model: GPUModel.GPU_MODEL_NVIDIA_TESLA_T4 });
});

test.each([
  ["of an unknown model", prints(named(0, "NVIDIA H200"))],
  ["that fails", "exit 9"],
  ["that prints nothing", ":"],
])(
  "X8: with an nvidia-smi %s the GPU field is unset, and the server takes the host",
  async (name, script) => {
    const env = await standIn(name.replaceAll(" ", "-"), script);
    const { whole, forWorkers } = await toldBy(join(folder, `state ${name}`), env);
    expect([whole?.gpu, forWorkers?.gpu]).toEqual([undefined, undefined]);
    expect(whole?.cpuCount).toBeGreaterThan(0);
  },
);

test.skipIf(spawnSync("gcc", ["--version"]).status !== 0)(
  "X8: a stand-in for NVIDIA's library is told as well: the first card's model, and how many are of it",
  async () => {
    await using nvml = await openFakeNvml();
    const env = { HEARTH_HAS_GPU: "true", LD_LIBRARY_PATH: nvml.folder };
    const { whole } = await toldBy(join(folder, "state-nvml"), env);
    expect(whole?.gpu).toMatchObject({ count: 2, model: GPUModel.GPU_MODEL_NVIDIA_A100_80GB });
  },
);
