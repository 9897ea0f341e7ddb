import { describe, expect, test } from "vitest";
import { FakeCgroup2 } from "../../../../test/support/fake-cgroup-files.ts";
import { openCgroups } from "./open-cgroups.ts";

// A machine with v1 runs this too: the kernel is a fake here, and what is tested is which files are written, in which order.
const ROOT = "/sys/fs/cgroup";
const MOUNTS = `30 23 0:26 / ${ROOT} rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n`;
const LIMITS = { cpuMillis: 1500, memoryBytes: 134_217_728, processes: 256 };

const open = (files: FakeCgroup2, own: string, ours: readonly number[] = []) =>
  openCgroups("me", { files, mounts: MOUNTS, own: `0::${own}\n`, isOurs: (pid) => ours.includes(pid) });

describe("cgroup v2", () => {
  test("at the root, controllers are handed down twice and every limit is written", () => {
    const files = new FakeCgroup2(ROOT);
    const root = open(files, "/");
    expect(root).toMatchObject({ version: "v2", missing: [], canFreeze: true });
    files.writes.length = 0;
    const cgroup = root?.create("box", LIMITS);
    expect(files.writes).toEqual([
      "/hearth/me/box/cpu.max = 150000 100000",
      "/hearth/me/box/memory.max = 134217728",
      "/hearth/me/box/memory.oom.group = 1",
      "/hearth/me/box/memory.swap.max = 0",
      "/hearth/me/box/pids.max = 256",
    ]);
    expect(cgroup?.joinFiles).toEqual([`${ROOT}/hearth/me/box/cgroup.procs`]);
    expect(root?.names()).toEqual(["box"]);
    expect(cgroup?.remove()).toBe(true);
    expect(root?.names()).toEqual([]);
  });

  test("in a delegated service, the daemon moves into a leaf and tasks become its neighbours", () => {
    const files = new FakeCgroup2(ROOT);
    const service = "/system.slice/hearth.service";
    files.makeDirectory(ROOT + service);
    for (const at of ["", "/system.slice"])
      for (const controller of ["cpu", "memory", "pids"])
        files.write(`${ROOT}${at}/cgroup.subtree_control`, `+${controller}`);
    for (const pid of ["10", "11"]) files.write(`${ROOT}${service}/cgroup.procs`, pid);
    const root = open(files, service, [10, 11]);
    expect(root?.missing).toEqual([]);
    expect(files.read(`${ROOT}${service}/hearth-daemon/cgroup.procs`)).toBe("10\n11");
    expect(root?.create("box", LIMITS).joinFiles).toEqual([`${ROOT}${service}/hearth/me/box/cgroup.procs`]);
  });

  test("a session that holds other people's processes is left alone: the root is used instead", () => {
    const files = new FakeCgroup2(ROOT);
    const session = "/user.slice/session-1.scope";
    files.makeDirectory(ROOT + session);
    for (const pid of ["10", "99"]) files.write(`${ROOT}${session}/cgroup.procs`, pid);
    const root = open(files, session, [10]);
    expect(files.read(`${ROOT}${session}/cgroup.procs`)).toBe("10\n99");
    expect(root?.create("box", LIMITS).joinFiles).toEqual([`${ROOT}/hearth/me/box/cgroup.procs`]);
  });

  test("a controller that is not there is told, and the others are used", () => {
    const root = open(new FakeCgroup2(ROOT, "memory pids"), "/");
    expect(root?.missing).toEqual(["cpu"]);
    expect(() => root?.create("box", LIMITS)).not.toThrow();
  });

  test("a hierarchy without any of the controllers is of no use", () => {
    expect(open(new FakeCgroup2(ROOT, ""), "/")).toBeUndefined();
  });

  test("freezing, killing, use and memory kills are read from and written to its files", () => {
    const files = new FakeCgroup2(ROOT);
    const cgroup = open(files, "/")?.create("box", LIMITS);
    const at = `${ROOT}/hearth/me/box`;
    cgroup?.setFrozen(true);
    expect(files.read(`${at}/cgroup.freeze`)).toBe("1");
    expect(cgroup?.isFrozen()).toBe(false);
    files.files.set(`${at}/cgroup.events`, "populated 1\nfrozen 1\n");
    expect(cgroup?.isFrozen()).toBe(true);
    cgroup?.kill();
    expect(files.read(`${at}/cgroup.kill`)).toBe("1");
    files.files.set(`${at}/memory.events`, "low 0\noom 3\noom_kill 2\n");
    expect(cgroup?.memoryKills()).toBe(2);
    files.files.set(`${at}/cpu.stat`, "usage_usec 2500\nuser_usec 1\n");
    files.files.set(`${at}/memory.current`, "5000\n");
    files.files.set(`${at}/memory.stat`, "anon 1\ninactive_file 1000\n");
    files.files.set(`${at}/memory.peak`, "9000\n");
    expect(cgroup?.usage()).toEqual({ cpuMs: 2.5, memoryBytes: 4000, memoryPeakBytes: 9000 });
  });
});
