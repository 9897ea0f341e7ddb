import { readdirSync, readlinkSync } from "node:fs";
import { controlFiles } from "./cgroup/control-files.ts";

/** `USER_HZ`, which Linux fixes at 100 for all that it shows to programs. */
const TICK_MS = 10;
const PAGE_BYTES = 4096;
/** A task has at most a few hundred processes; the bound guards against a tree that changes while it is read. */
const MOST_PROCESSES = 10_000;

export interface ProcessFacts {
  readonly parent: number;
  readonly group: number;
  /** One letter: `T` is stopped, `Z` ended and not yet waited for. */
  readonly state: string;
  /** Ticks from boot to its start: with the id it names one process for ever. */
  readonly startTicks: number;
  readonly cpuMs: number;
  readonly residentBytes: number;
}

/** What the kernel tells of a process, or `undefined` when there is none. @see proc(5), "/proc/pid/stat". */
export function factsOf(pid: number): ProcessFacts | undefined {
  const text = readText(`/proc/${pid}/stat`);
  // The name may itself hold spaces and brackets: the fields begin after the last one.
  const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ");
  if (fields === undefined || fields.length < 22) return undefined;
  const field = (number: number): number => Number(fields[number - 3]);
  return {
    state: fields[0] as string,
    parent: field(4),
    group: field(5),
    cpuMs: (field(14) + field(15)) * TICK_MS,
    startTicks: field(22),
    residentBytes: field(24) * PAGE_BYTES,
  };
}

/** Whether the process that once had this id and start time still runs. */
export function isSameProcess(pid: number, startTicks: number): boolean {
  const facts = factsOf(pid);
  return facts !== undefined && facts.startTicks === startTicks && facts.state !== "Z";
}

/** A process and all that descend from it, parents first, without those that have ended and only wait to be noticed. */
export function familyOf(leader: number): readonly number[] {
  const family = [leader];
  for (let index = 0; index < family.length && family.length < MOST_PROCESSES; index += 1) {
    for (const child of childrenOf(family[index] as number)) if (!family.includes(child)) family.push(child);
  }
  return family.filter((pid) => (factsOf(pid)?.state ?? "Z") !== "Z");
}

function childrenOf(pid: number): readonly number[] {
  const threads = listNumbers(`/proc/${pid}/task`);
  return threads.flatMap((thread) =>
    (readText(`/proc/${pid}/task/${thread}/children`) ?? "").split(" ").filter(Boolean).map(Number),
  );
}

/** Every process of a process group, also those whose parents have ended. */
export function groupMembers(group: number): readonly number[] {
  return listNumbers("/proc").filter((pid) => {
    const facts = factsOf(pid);
    return facts?.group === group && facts.state !== "Z";
  });
}

/** Processes whose environment names this home: those that a task without a cgroup left, its leader gone. */
export function processesWithHome(home: string): readonly number[] {
  return processesWith(`HOME=${home}`);
}

/** What every process of a worker carries, unless it has put it away. */
export function workerMark(sandboxId: string): { readonly name: string; readonly value: string } {
  return { name: "HEARTH_SANDBOX", value: sandboxId };
}

/** The same of a worker, whose home is the operator's own. */
export function processesOfWorker(sandboxId: string): readonly number[] {
  const { name, value } = workerMark(sandboxId);
  return processesWith(`${name}=${value}`);
}

function processesWith(setting: string): readonly number[] {
  return listNumbers("/proc").filter((pid) => {
    const environment = readText(`/proc/${pid}/environ`);
    return environment?.split("\0").includes(setting) === true && factsOf(pid)?.state !== "Z";
  });
}

/** The inodes of the sockets that a process holds; none when we may not look. */
export function socketInodesOf(pid: number): readonly number[] {
  return listNumbers(`/proc/${pid}/fd`).flatMap((descriptor) => {
    const [, inode] = /^socket:\[(\d+)\]$/.exec(readLink(`/proc/${pid}/fd/${descriptor}`)) ?? [];
    return inode === undefined ? [] : [Number(inode)];
  });
}

/** Names one run of the kernel, so that a process id of before a reboot is not taken for a living one. */
export function bootId(): string {
  return readText("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
}

function listNumbers(directory: string): readonly number[] {
  try {
    return readdirSync(directory)
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

/** `undefined` when the process has ended. */
function readText(path: string): string | undefined {
  return controlFiles.read(path);
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
