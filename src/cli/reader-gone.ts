import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { sleep } from "../std/index.ts";

const EVERY_MS = 1000;
const STDOUT = "1";
/** Of the flags in `/proc/<pid>/fdinfo/<n>`: write only. @see fcntl.h, O_ACCMODE */
const ACCESS_MODE = 0o3;

/**
 * Resolves when nobody reads the program's output any more, also while there is nothing to print: a write would fail, but none may
 * come for hours (`hearth events | head -1`). Only Linux shows who has a pipe open, and only of processes that we may look at: it
 * never resolves where no reader was ever seen, and then the next write has to do.
 */
export async function readerGone(signal: AbortSignal): Promise<void> {
  const pipe = linkOf("self", STDOUT);
  if (pipe?.startsWith("pipe:") !== true) return await never(signal);
  let readers = readersOf(pipe);
  if (readers.length === 0) return await never(signal);
  while (readers.length > 0) {
    await sleep(EVERY_MS, signal);
    readers = readers.filter((pid) => reads(pid, pipe));
    // Others may have been handed it meanwhile.
    if (readers.length === 0) readers = readersOf(pipe);
  }
}

function never(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function readersOf(pipe: string): readonly string[] {
  return namesIn("/proc").filter((name) => /^\d+$/.test(name) && reads(name, pipe));
}

function reads(pid: string, pipe: string): boolean {
  return namesIn(`/proc/${pid}/fd`).some((fd) => linkOf(pid, fd) === pipe && isForReading(pid, fd));
}

function isForReading(pid: string, fd: string): boolean {
  try {
    const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8"))?.[1] ?? "";
    return (Number.parseInt(flags, 8) & ACCESS_MODE) !== 1;
  } catch {
    return false;
  }
}

function linkOf(pid: string, fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return undefined;
  }
}

/** What is not ours to look at holds nothing that we could see. */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
