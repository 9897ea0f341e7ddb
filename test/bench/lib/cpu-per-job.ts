import { readdirSync, readFileSync } from "node:fs";

/** CPU time in milliseconds, to 10 ms exact. */
export interface CpuUse {
  /** Of the program itself, all its threads together. */
  readonly ownMs: number;
  /** Of all that it started, whether that has ended or not. */
  readonly childrenMs: number;
}

const TICK_MS = 10;

/** @param except those of its children that are counted by themselves, or not at all. */
export function cpuUse(pid: number, except: readonly number[] = []): CpuUse {
  const { ownMs, reapedMs } = readStat(pid);
  const counted = childrenOf(pid).filter((child) => !except.includes(child));
  const living = counted.map((child) => {
    const use = orNothing(() => cpuUse(child), { ownMs: 0, childrenMs: 0 });
    return use.ownMs + use.childrenMs;
  });
  return { ownMs, childrenMs: living.reduce((sum, ms) => sum + ms, reapedMs) };
}

/** What a program used for each of so many jobs between two looks at it. */
export function perJob(before: CpuUse, after: CpuUse, jobs: number): CpuUse {
  return {
    ownMs: (after.ownMs - before.ownMs) / jobs,
    childrenMs: (after.childrenMs - before.childrenMs) / jobs,
  };
}

function readStat(pid: number): { readonly ownMs: number; readonly reapedMs: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The command's name, in brackets, may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ms = (first: number): number => (Number(fields[first]) + Number(fields[first + 1])) * TICK_MS;
  return { ownMs: ms(11), reapedMs: ms(13) };
}

function childrenOf(pid: number): readonly number[] {
  const threads = orNothing(() => readdirSync(`/proc/${pid}/task`), []);
  return threads.flatMap((thread) =>
    orNothing(() => readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8"), "")
      .split(" ")
      .filter((text) => text !== "")
      .map(Number),
  );
}

/** A process may end while it is looked at. */
function orNothing<T>(look: () => T, nothing: T): T {
  try {
    return look();
  } catch {
    return nothing;
  }
}
