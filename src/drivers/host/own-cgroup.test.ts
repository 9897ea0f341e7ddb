import { describe, expect, test } from "vitest";
import { readOwnCgroup } from "./own-cgroup.ts";

const reader =
  (files: Readonly<Record<string, string>>) =>
  (path: string): string | undefined =>
    files[path];

const V1_MOUNTS = (root: string): string =>
  ["cpu,cpuacct", "memory"]
    .map((name) => `32 31 0:29 ${root} /sys/fs/cgroup/${name} rw,relatime - cgroup cgroup rw,${name}`)
    .join("\n");

describe("the daemon's own limits", () => {
  test("v1, in a container whose mounts show only its own cgroup", () => {
    const own = readOwnCgroup(
      reader({
        "/proc/self/mountinfo": V1_MOUNTS("/docker/abc"),
        "/proc/self/cgroup": "9:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n",
        "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
        "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912\n",
      }),
    );
    expect(own).toMatchObject({ cpuMillis: 1500, memoryBytes: 536_870_912 });
    expect(own.cpuUsage?.path).toBe("/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage");
    expect(own.cpuUsage?.parse("2000000\n")).toBe(2);
    expect(own.memoryUsage?.path).toBe("/sys/fs/cgroup/memory/memory.usage_in_bytes");
    expect(own.memoryStat?.parse("cache 1\ntotal_inactive_file 77\n")).toBe(77);
  });

  test("v1, on a host: the tightest limit on the way up counts, and no limit is none", () => {
    const own = readOwnCgroup(
      reader({
        "/proc/self/mountinfo": V1_MOUNTS("/"),
        "/proc/self/cgroup": "9:memory:/a/b\n3:cpu,cpuacct:/\n",
        "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "9223372036854771712\n",
        "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1048576\n",
      }),
    );
    expect(own).toMatchObject({ cpuMillis: undefined, memoryBytes: 1_048_576, cpuUsage: undefined });
    expect(own.memoryUsage?.path).toBe("/sys/fs/cgroup/memory/a/memory.usage_in_bytes");
  });

  test("v2, delegated below a service", () => {
    const own = readOwnCgroup(
      reader({
        "/proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n",
        "/proc/self/cgroup": "0::/system.slice/hearth.service\n",
        "/sys/fs/cgroup/system.slice/hearth.service/cpu.max": "50000 100000\n",
        "/sys/fs/cgroup/system.slice/cpu.max": "max 100000\n",
        "/sys/fs/cgroup/system.slice/hearth.service/memory.max": "max\n",
        "/sys/fs/cgroup/system.slice/memory.max": "4194304\n",
      }),
    );
    expect(own).toMatchObject({ cpuMillis: 500, memoryBytes: 4_194_304 });
    expect(own.cpuUsage?.parse("usage_usec 5000\nuser_usec 1\n")).toBe(5);
    expect(own.memoryUsage?.path).toBe("/sys/fs/cgroup/system.slice/memory.current");
  });

  test("a host without cgroups has no limits", () => {
    expect(readOwnCgroup(reader({}))).toMatchObject({ cpuMillis: undefined, memoryBytes: undefined });
  });
});
