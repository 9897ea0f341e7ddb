import { readdir, readFile } from "node:fs/promises";
import { poll } from "./poll.ts";

/** Stops a process and waits until all of its threads stand still: right after the signal some may still run, and answer. */
export async function standStill(pid: number): Promise<void> {
  process.kill(pid, "SIGSTOP");
  await poll(`process ${pid} stands still`, async () => {
    const threads = await readdir(`/proc/${pid}/task`);
    const states = await Promise.all(threads.map((thread) => stateOf(`/proc/${pid}/task/${thread}/stat`)));
    return states.every((state) => "Tt".includes(state)) || states.join();
  });
}

/** The letter behind the name; none of a thread that has gone meanwhile. */
async function stateOf(path: string): Promise<string> {
  const stat = await readFile(path, "utf8").catch(() => "");
  return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
}
