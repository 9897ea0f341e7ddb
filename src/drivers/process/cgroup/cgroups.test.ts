import { describe, expect, test } from "vitest";
import { FakeCgroup2 } from "../../../../test/support/fake-cgroup-files.ts";
import type { ControlFiles } from "./control-files.ts";
import { openCgroups } from "./open-cgroups.ts";
import { openVersion1 } from "./version-1.ts";

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
    expect(cgroup?.finalUsage()).toEqual({ cpuMs: 2.5, memoryBytes: 0, memoryPeakBytes: 9000 });
  });
});

/** Hierarchies of v1 as far as directories go; writes are kept and read back. */
class FakeCgroup1 implements ControlFiles {
  readonly made = new Set<string>();
  readonly files = new Map<string, string>();

  read(path: string): string | undefined {
    return this.files.get(path);
  }

  write(path: string, text: string): void {
    this.files.set(path, text);
  }

  makeDirectory(path: string): void {
    this.made.add(path);
  }

  removeDirectory(path: string): boolean {
    this.made.delete(path);
    return true;
  }

  directories(path: string): readonly string[] {
    return [...this.made]
      .filter((one) => one.startsWith(`${path}/`))
      .map((one) => one.slice(path.length + 1));
  }
}

describe("cgroup v1", () => {
  const PARENTS = { cpu: "/cpu,cpuacct", cpuacct: "/cpu,cpuacct", memory: "/memory", pids: "/pids" };

  test("one that will not be frozen is in every hierarchy but that of the freezer, and is found and removed as others are", () => {
    const files = new FakeCgroup1();
    const root = openVersion1(files, { ...PARENTS, freezer: "/freezer" }, "me");
    const whole = root.create("call", LIMITS);
    expect(whole.joinFiles).toContain("/freezer/me/call/cgroup.procs");
    const cgroup = root.create("job", LIMITS, false);
    expect(cgroup.joinFiles).toEqual([
      "/cpu,cpuacct/me/job/cgroup.procs",
      "/memory/me/job/cgroup.procs",
      "/pids/me/job/cgroup.procs",
    ]);
    expect(root.names()).toEqual(["call", "job"]);
    expect(root.open("job")?.remove()).toBe(true);
    expect(root.names()).toEqual(["call"]);
  });

  test("where there is a freezer alone, that is what holds it together", () => {
    const root = openVersion1(new FakeCgroup1(), { freezer: "/freezer" }, "me");
    expect(root.create("job", LIMITS, false).joinFiles).toEqual(["/freezer/me/job/cgroup.procs"]);
  });

  test("what it came to at the end is told without asking what memory it holds", () => {
    const files = new FakeCgroup1();
    const cgroup = openVersion1(files, PARENTS, "me").create("box", LIMITS);
    expect(cgroup.finalUsage()).toBeUndefined();
    files.write("/cpu,cpuacct/me/box/cpuacct.usage", "2500000\n");
    files.write("/memory/me/box/memory.max_usage_in_bytes", "9000\n");
    expect(cgroup.usage()).toBeUndefined();
    expect(cgroup.finalUsage()).toEqual({ cpuMs: 2.5, memoryBytes: 0, memoryPeakBytes: 9000 });
    files.write("/memory/me/box/memory.usage_in_bytes", "5000\n");
    files.write("/memory/me/box/memory.stat", "cache 1\ntotal_inactive_file 1000\n");
    expect(cgroup.usage()).toEqual({ cpuMs: 2.5, memoryBytes: 4000, memoryPeakBytes: 9000 });
  });
});
