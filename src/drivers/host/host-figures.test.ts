import { describe, expect, test } from "vitest";
import { cpuPercentBetween, parseAllowedCpus, parseCpuTimes, parseMemory } from "./host-figures.ts";

describe("recorded files of the kernel", () => {
  test("/proc/stat: waiting is idle, guests are not counted twice, stolen time is not free", () => {
    const text = "cpu  100 10 50 1000 40 5 5 30 60 0\ncpu0 1 2 3 4\nintr 1\n";
    expect(parseCpuTimes(text)).toEqual({ busyMs: 2000, totalMs: 12_400 });
    expect(parseCpuTimes("cpu0 1 2 3 4\n")).toBeUndefined();
    expect(parseCpuTimes("")).toBeUndefined();
  });

  test("/proc/meminfo, of new and old kernels", () => {
    const recorded =
      "MemTotal:        8000000 kB\nMemFree:          500000 kB\nMemAvailable:    3000000 kB\n";
    expect(parseMemory(recorded)).toEqual({ totalBytes: 8_192_000_000, availableBytes: 3_072_000_000 });
    expect(parseMemory("MemTotal: 10 kB\nMemFree: 4 kB\n")).toEqual({
      totalBytes: 10_240,
      availableBytes: 4096,
    });
    expect(parseMemory("")).toBeUndefined();
  });

  test.each([
    ["0-1", 2],
    ["0", 1],
    ["0-3,8,10-11", 7],
  ])("the affinity mask %s names %i CPUs", (list, count) => {
    expect(parseAllowedCpus(`Name:\tnode\nCpus_allowed_list:\t${list}\nMems_allowed:\t1\n`)).toBe(count);
  });

  test("the share between two samples stays between 0 and 100, and needs time to have passed", () => {
    expect(cpuPercentBetween({ busyMs: 0, totalMs: 0 }, { busyMs: 500, totalMs: 2000 })).toBe(25);
    expect(cpuPercentBetween({ busyMs: 0, totalMs: 0 }, { busyMs: 3000, totalMs: 2000 })).toBe(100);
    expect(cpuPercentBetween({ busyMs: 9, totalMs: 0 }, { busyMs: 0, totalMs: 2000 })).toBe(0);
    expect(cpuPercentBetween({ busyMs: 1, totalMs: 7 }, { busyMs: 2, totalMs: 7 })).toBeUndefined();
  });
});
