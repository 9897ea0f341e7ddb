import { spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { HostCapacity, HostUsage } from "../../src/core/index.ts";
import { MEBIBYTE } from "../../src/core/index.ts";
import { openHostMonitor } from "../../src/drivers/host/index.ts";
import { openCgroups } from "../../src/drivers/process/cgroup/open-cgroups.ts";
import { freshName } from "../support/fresh-name.ts";
import { poll } from "../support/poll.ts";
import { runProgram } from "../support/run-program.ts";

test("M3: under a CPU burner the CPU's use rises within 3 s", async () => {
  using monitor = openHostMonitor();
  const burner = spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" });
  try {
    await once(burner, "spawn");
    const oneCpu = 100 / availableParallelism();
    // Three seconds in steps: a machine that stands still for a while takes no more than one of them.
    for (let step = 0; step < 60 && monitor.usage().cpuPercent < oneCpu * 0.8; step += 1)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(monitor.usage().cpuPercent).toBeGreaterThanOrEqual(oneCpu * 0.8);
  } finally {
    burner.kill("SIGKILL");
    await once(burner, "exit");
  }
});

test("M3: inside a cgroup with limits, these are the capacity, and the use is told of them", async ({
  skip,
}) => {
  const cgroups = openCgroups(freshName("host"));
  if (cgroups === undefined || cgroups.missing.length > 0) {
    skip("this process may not make cgroups");
    return;
  }
  const limits = { cpuMillis: 300, memoryBytes: 256 * MEBIBYTE, processes: 100 };
  const cgroup = cgroups.create("limited", limits);
  try {
    const join = cgroup.joinFiles.map((file) => `echo $$ > ${file}`).join(" && ");
    const script = `${join} && exec ${process.execPath} --import tsx ${PRINT_HOST}`;
    const { stdout, stderr } = await runProgram("sh", ["-c", script]);
    expect(stderr).toBe("");
    const told = JSON.parse(stdout) as { capacity: HostCapacity; usage: HostUsage; ownCpu: number };
    expect(told.capacity).toEqual({ cpuMillis: 300, memoryBytes: 256 * MEBIBYTE });
    // It used all that it may, which is less than a third of what one CPU has, or what the load left it of that.
    expect(told.ownCpu).toBeGreaterThan(0);
    expect(Math.abs(told.usage.cpuPercent - (100 * told.ownCpu) / 0.3)).toBeLessThan(15);
    expect(told.usage.memoryAvailableBytes).toBeLessThan(256 * MEBIBYTE);
  } finally {
    await poll("the cgroup is gone", () => cgroup.remove() || "busy");
    cgroups.close();
  }
});

const PRINT_HOST = fileURLToPath(new URL("../support/print-host.ts", import.meta.url));
const NO_LIMITS = {
  cpuMillis: undefined,
  memoryBytes: undefined,
  cpuUsage: undefined,
  memoryUsage: undefined,
  memoryStat: undefined,
};

test("M3: the figures are within 5 points of what top says", async ({ skip }) => {
  using monitor = openHostMonitor({ cgroup: NO_LIMITS });
  let alike = 0;
  const differences: { readonly cpu: number; readonly memory: number }[] = [];
  // On a busy host two looks a moment apart may see different seconds: three that agree are enough, of some more.
  for (let round = 0; round < 20 && alike < 3; round += 1) {
    // The second of its two screens is the second that has just gone by: the same one that the monitor looks back on.
    const top = await runProgram("top", ["-b", "-n", "2", "-d", "1.2"], { env: { LC_ALL: "C" } });
    const usage = monitor.usage();
    const told = readTop(top.stdout);
    if (told === undefined) {
      skip("this host has no top that can be read");
      return;
    }
    const cpu = Math.abs(usage.cpuPercent - told.cpuPercent);
    const memory = Math.abs(usage.memoryPercent - told.memoryPercent);
    differences.push({ cpu, memory });
    if (cpu <= 5 && memory <= 5) alike += 1;
  }
  expect(alike, JSON.stringify(differences)).toBe(3);
}, 180_000);

function readTop(text: string): { readonly cpuPercent: number; readonly memoryPercent: number } | undefined {
  const screen = text.slice(text.lastIndexOf("top - "));
  const [, idle] = /%Cpu\(s\):.*?([\d.]+) id/.exec(screen) ?? [];
  const [, waiting] = /%Cpu\(s\):.*?([\d.]+) wa/.exec(screen) ?? [];
  const [, total, used] = /Mem *: +([\d.]+) total, +[\d.]+ free, +([\d.]+) used/.exec(screen) ?? [];
  if (idle === undefined || total === undefined || used === undefined) return undefined;
  return {
    cpuPercent: 100 - Number(idle) - Number(waiting ?? 0),
    memoryPercent: (100 * Number(used)) / Number(total),
  };
}
