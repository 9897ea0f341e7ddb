import { constants } from "node:fs";
import { open } from "node:fs/promises";

const KERNEL_LOG = "/dev/kmsg";
/** More than the longest record; one read brings one. */
const RECORD_BYTES = 8192;
/** More than any log holds; ends a loop that would not end by itself. */
const MOST_RECORDS = 100_000;

/**
 * Whether the kernel of this machine says that it killed a process of this container for want of memory: its line about that names the
 * container's control group (`mm/oom_kill.c`, since Linux 5.0: `oom-kill:constraint=...,task_memcg=/docker/ID,...`). An engine
 * may miss it: what watches a container's memory for containerd gives up without a word when the container's group is gone first.
 *
 * Never rejects: where the log cannot be read (no root, a container, an engine on another machine) it says nothing.
 *
 * @param containerId the whole of it.
 */
export async function wasKilledForMemory(containerId: string, path = KERNEL_LOG): Promise<boolean> {
  try {
    await using log = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const buffer = Buffer.alloc(RECORD_BYTES);
    for (let records = 0; records < MOST_RECORDS; records += 1) {
      const text = await nextRecord(log, buffer);
      if (text === undefined) return false;
      if (text.split("\n").some((line) => line.includes("oom-kill:") && line.includes(containerId)))
        return true;
    }
    return false;
  } catch {
    return false;
  }
}

/** `undefined` at the end. A record that was overwritten meanwhile is an empty one. */
async function nextRecord(
  log: { read(buffer: Buffer): Promise<{ readonly bytesRead: number }> },
  buffer: Buffer,
): Promise<string | undefined> {
  try {
    const { bytesRead } = await log.read(buffer);
    return bytesRead === 0 ? undefined : buffer.toString("latin1", 0, bytesRead);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EPIPE") return "";
    if (code === "EAGAIN") return undefined;
    throw error;
  }
}
