import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Clock } from "../../core/index.ts";
import { openHostMonitor } from "./open-host-monitor.ts";
import type { OwnCgroup } from "./own-cgroup.ts";

const UNLIMITED: OwnCgroup = {
  cpuMillis: undefined,
  memoryBytes: undefined,
  cpuUsage: undefined,
  memoryUsage: undefined,
  memoryStat: undefined,
};

let folder = "";
let nowMs = 0;
let due: (() => void) | undefined;
const clock: Clock = {
  nowMs: () => nowMs,
  wallMs: () => nowMs,
  after(_delayMs, fire) {
    due = fire;
    return () => {
      due = undefined;
    };
  },
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hearth-host-"));
  write("meminfo", "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\n");
  cpu(0, 0);
});
afterEach(() => rmSync(folder, { recursive: true }));

const path = (name: string): string => join(folder, name);
const write = (name: string, text: string): void => writeFileSync(path(name), text);
const cpu = (busy: number, idle: number): void => write("stat", `cpu  ${busy} 0 0 ${idle} 0 0 0 0 0 0\n`);
const tick = (): void => {
  nowMs += 500;
  due?.();
};
const recorded = { clock, cpuCount: 4 };
const open = (cgroup: OwnCgroup = UNLIMITED) =>
  openHostMonitor({ ...recorded, cgroup, statPath: path("stat"), memoryPath: path("meminfo") });

describe("the host monitor", () => {
  test("tells the CPU's use over about the last second, not since it was last asked", () => {
    using monitor = open();
    expect(monitor.usage().cpuPercent).toBe(0);
    for (let idle = 100; idle <= 1000; idle += 100) {
      cpu(0, idle);
      tick();
    }
    cpu(100, 1000);
    tick();
    cpu(200, 1000);
    tick();
    expect(monitor.usage().cpuPercent).toBe(100);
  });

  test("tells memory that could be had, and its capacity", () => {
    using monitor = open();
    expect(monitor.usage()).toMatchObject({ memoryPercent: 60, memoryAvailableBytes: 400 * 1024 });
    expect(monitor.memoryAvailableBytes()).toBe(400 * 1024);
    expect(monitor.capacity).toEqual({ cpuMillis: 4000, memoryBytes: 1_024_000 });
  });

  test("M3: within a container's limits, these are the capacity and the use is the container's", () => {
    write("used", "409600");
    write("cached", "inactive_file 204800\n");
    write("cpu-used", "0");
    const number = (text: string): number => Number(text);
    using monitor = open({
      cpuMillis: 500,
      memoryBytes: 512_000,
      cpuUsage: { path: path("cpu-used"), parse: number },
      memoryUsage: { path: path("used"), parse: number },
      memoryStat: { path: path("cached"), parse: (text) => Number(text.split(" ")[1]) },
    });
    expect(monitor.capacity).toEqual({ cpuMillis: 500, memoryBytes: 512_000 });
    nowMs += 1000;
    write("cpu-used", "250");
    expect(monitor.usage()).toEqual({ cpuPercent: 50, memoryPercent: 40, memoryAvailableBytes: 307_200 });
    expect(monitor.memoryAvailableBytes()).toBe(307_200);
  });

  test("defect 4: a host whose figures cannot be read stops the start instead of being watched half", () => {
    const unavailable = expect.objectContaining({ code: "ENGINE_UNAVAILABLE" });
    const stat = { ...recorded, cgroup: UNLIMITED, statPath: path("stat"), memoryPath: path("meminfo") };
    expect(() => openHostMonitor({ ...stat, statPath: path("none") })).toThrow(unavailable);
    expect(() => openHostMonitor({ ...stat, memoryPath: path("none") })).toThrow(unavailable);
    write("meminfo", "nothing of use\n");
    expect(() => open()).toThrow(unavailable);
    expect(due).toBeUndefined();
  });

  test("limits wider than the host are no limits", () => {
    using monitor = open({ ...UNLIMITED, cpuMillis: 9000, memoryBytes: 9_000_000 });
    expect(monitor.capacity).toEqual({ cpuMillis: 4000, memoryBytes: 1_024_000 });
  });

  test("a disposed monitor keeps no timer and still answers with what it last knew", () => {
    const monitor = open();
    const before = monitor.usage();
    monitor[Symbol.dispose]();
    expect(due).toBeUndefined();
    expect(monitor.usage()).toEqual(before);
  });
});
