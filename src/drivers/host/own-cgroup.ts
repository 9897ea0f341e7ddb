import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** How the daemon's own cgroup, and those above it, limit it. A container's limits are found here. */
export interface OwnCgroup {
  /** Thousandths of a core, or `undefined` when CPU is not limited. */
  readonly cpuMillis: number | undefined;
  readonly memoryBytes: number | undefined;
  /** Files that tell the use of the cgroup whose limit counts; only where there is a limit. */
  readonly cpuUsage: UsageFile | undefined;
  readonly memoryUsage: UsageFile | undefined;
  /** Where file pages that nobody uses are counted, which are part of the use but not missed. */
  readonly memoryStat: UsageFile | undefined;
}

export interface UsageFile {
  readonly path: string;
  /** The figure in the file's text, in milliseconds or bytes. */
  parse(text: string): number | undefined;
}

/** Limits above this are how the kernel writes "none". */
const NO_LIMIT_BYTES = 2 ** 60;
const STAT_BYTES = 4096;

/** What is read of `memory.stat`. */
export const MEMORY_STAT_BYTES = STAT_BYTES;

export type ReadText = (path: string) => string | undefined;

/** @param read reads a file or answers `undefined`; tests give one of their own. */
export function readOwnCgroup(read: ReadText = readText): OwnCgroup {
  const limits = readLimits(read);
  const tightest = (kind: Limit["kind"]): Partial<Limit> =>
    limits.filter((limit) => limit.kind === kind).sort((a, b) => a.most - b.most)[0] ?? {};
  const [cpu, memory] = [tightest("cpu"), tightest("memory")];
  return {
    cpuMillis: cpu.most,
    memoryBytes: memory.most,
    cpuUsage: cpu.usage,
    memoryUsage: memory.usage,
    memoryStat: memory.stat,
  };
}

function readLimits(read: ReadText): readonly Limit[] {
  const mounts = parseMounts(read("/proc/self/mountinfo") ?? "");
  const own = parseOwn(read("/proc/self/cgroup") ?? "");
  const place = (controller: string): Place | undefined => placeOf(mounts, own, controller);
  const [cpu, accounting, memory, unified] = ["cpu", "cpuacct", "memory", ""].map(place);
  return [
    ...(cpu === undefined ? [] : version1Cpu(read, cpu, accounting ?? cpu)),
    ...(memory === undefined ? [] : version1Memory(read, memory)),
    ...(unified === undefined ? [] : version2(read, unified)),
  ];
}

interface Limit {
  readonly kind: "cpu" | "memory";
  readonly most: number;
  readonly usage: UsageFile;
  readonly stat?: UsageFile;
}

/** A cgroup as this process sees it: where its hierarchy is mounted, and the directories from its own up to there. */
interface Place {
  readonly mount: string;
  readonly path: string;
}

function version1Cpu(read: ReadText, place: Place, accounting: Place): readonly Limit[] {
  return upwards(place).flatMap((directory) => {
    const quota = number(read(join(directory, "cpu.cfs_quota_us")));
    const period = number(read(join(directory, "cpu.cfs_period_us")));
    if (quota === undefined || period === undefined || quota <= 0 || period <= 0) return [];
    const path = join(accounting.mount, directory.slice(place.mount.length), "cpuacct.usage");
    const usage = { path, parse: (text: string) => scaled(number(text), 1e-6) };
    return [{ kind: "cpu" as const, most: Math.round((1000 * quota) / period), usage }];
  });
}

function version1Memory(read: ReadText, place: Place): readonly Limit[] {
  return upwards(place).flatMap((directory) => {
    const most = number(read(join(directory, "memory.limit_in_bytes")));
    if (most === undefined || most >= NO_LIMIT_BYTES) return [];
    const usage = { path: join(directory, "memory.usage_in_bytes"), parse: number };
    const stat = {
      path: join(directory, "memory.stat"),
      parse: (text: string) => entry(text, "total_inactive_file"),
    };
    return [{ kind: "memory" as const, most, usage, stat }];
  });
}

function version2(read: ReadText, place: Place): readonly Limit[] {
  return upwards(place).flatMap((directory) => {
    const limits: Limit[] = [];
    const [quota, period] = (read(join(directory, "cpu.max")) ?? "").trim().split(" ").map(Number);
    if (quota !== undefined && period !== undefined && quota > 0 && period > 0) {
      const path = join(directory, "cpu.stat");
      const usage = { path, parse: (text: string) => scaled(entry(text, "usage_usec"), 1e-3) };
      limits.push({ kind: "cpu", most: Math.round((1000 * quota) / period), usage });
    }
    const most = number(read(join(directory, "memory.max")));
    if (most !== undefined && most < NO_LIMIT_BYTES) {
      const usage = { path: join(directory, "memory.current"), parse: number };
      const stat = {
        path: join(directory, "memory.stat"),
        parse: (text: string) => entry(text, "inactive_file"),
      };
      limits.push({ kind: "memory", most, usage, stat });
    }
    return limits;
  });
}

/** From a cgroup to the root of its mount: each one's limit holds for all below it. */
function upwards({ mount, path }: Place): readonly string[] {
  const directories: string[] = [];
  for (let at = path; at.length > mount.length; at = dirname(at)) directories.push(at);
  return [...directories, mount];
}

interface Mount {
  readonly root: string;
  readonly at: string;
  readonly controllers: readonly string[];
}

/** @see proc(5), "/proc/pid/mountinfo": root and mount point are the fourth and fifth field; type and options follow ` - `. */
function parseMounts(text: string): readonly Mount[] {
  return text.split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ");
    const [type, , options = ""] = after.split(" ");
    const [, , , root, at] = before.split(" ");
    if (root === undefined || at === undefined || (type !== "cgroup" && type !== "cgroup2")) return [];
    return [{ root, at, controllers: type === "cgroup2" ? [""] : options.split(",") }];
  });
}

/** Controller to path; the unified hierarchy has the empty name. */
function parseOwn(text: string): ReadonlyMap<string, string> {
  const own = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    for (const controller of controllers?.split(",") ?? []) own.set(controller, path ?? "/");
  }
  return own;
}

/** In a container the mount may show only its own cgroup, whose path on the host then begins with the mount's root. */
function placeOf(
  mounts: readonly Mount[],
  own: ReadonlyMap<string, string>,
  controller: string,
): Place | undefined {
  const mount = mounts.find(({ controllers }) => controllers.includes(controller));
  const path = own.get(controller);
  if (mount === undefined || path === undefined) return undefined;
  const isBelow = mount.root === "/" || path === mount.root || path.startsWith(`${mount.root}/`);
  const relative = isBelow ? path.slice(mount.root === "/" ? 0 : mount.root.length) : "";
  return { mount: mount.at, path: join(mount.at, relative).replace(/(?<=.)\/$/, "") };
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}

function number(text: string | undefined): number | undefined {
  return text !== undefined && /^-?\d+\s*$/.test(text) ? Number(text) : undefined;
}

function entry(text: string, key: string): number | undefined {
  const [, value] = new RegExp(`^${key} (\\d+)`, "m").exec(text) ?? [];
  return value === undefined ? undefined : Number(value);
}

function scaled(value: number | undefined, factor: number): number | undefined {
  return value === undefined ? undefined : value * factor;
}
