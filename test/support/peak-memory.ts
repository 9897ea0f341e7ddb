import { readFileSync, writeFileSync } from "node:fs";

/**
 * Begins to watch the most memory that a process has at once. A kernel that can forget the highest mark so far (a 5 in
 * `clear_refs`, proc_pid_clear_refs(5)) does; with others only what goes beyond that mark is seen.
 *
 * @returns how many bytes more it has had since at most.
 */
export function watchPeak(pid: number): () => number {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
  } catch {
    // The mark stays.
  }
  const before = peakOf(pid);
  return () => peakOf(pid) - before;
}

function peakOf(pid: number): number {
  const kB = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kB === undefined) throw new Error("the kernel does not say how much memory a process has had");
  return Number(kB) * 1024;
}
