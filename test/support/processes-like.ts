import { readdirSync, readFileSync } from "node:fs";

/** The command lines, with their pids, of every process of this machine whose words hold a text. */
export function processesLike(text: string): readonly string[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  return pids.flatMap((pid) => {
    const words = wordsOf(pid);
    return words.includes(text) ? [`${pid} ${words}`] : [];
  });
}

function wordsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return ""; // it has ended meanwhile
  }
}
