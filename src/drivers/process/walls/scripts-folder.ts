import { lstatSync, realpathSync, statSync } from "node:fs";
import { join, sep } from "node:path";

/**
 * The folder `scripts` of a task folder, as it is called on the host, or `undefined`. A link counts where it stays in the task's folder: what
 * it names is mounted by root, so that one to elsewhere would show what its author has no business to see.
 */
export function scriptsOf(folder: string): string | undefined {
  const path = join(folder, "scripts");
  const facts = lstatSync(path, { throwIfNoEntry: false });
  if (facts?.isDirectory()) return path;
  return facts?.isSymbolicLink() ? linkedWithin(folder, path) : undefined;
}

function linkedWithin(folder: string, link: string): string | undefined {
  try {
    const named = realpathSync(link);
    const isWithin = named.startsWith(`${realpathSync(folder)}${sep}`);
    return isWithin && statSync(named).isDirectory() ? named : undefined;
  } catch {
    // It leads nowhere.
    return undefined;
  }
}
