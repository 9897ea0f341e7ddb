import { readFileSync } from "node:fs";

/**
 * How many files this process may have open at once, sockets among them; `undefined` where there is no bound, or nobody can tell.
 * Node itself raises the soft limit to the hard one as it starts.
 */
export function openFilesLimit(): number | undefined {
  let limits: string;
  try {
    limits = readFileSync("/proc/self/limits", "latin1");
  } catch {
    return undefined;
  }
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? undefined : Number(soft);
}
