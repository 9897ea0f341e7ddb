import { statSync } from "node:fs";
import type { Loaded } from "./config/index.ts";
import { printFault } from "./config/index.ts";
import type { Log } from "./core/index.ts";

/** Tells once of each folder that `tasks.dirs` names and that is not there: it may come later, or be a slip of the pen. */
export function tellMissingTaskDirs({ config, origins }: Pick<Loaded, "config" | "origins">, log: Log): void {
  const key = "tasks.dirs";
  const origin = origins.get(key);
  // Of those that nobody named, none need be there.
  if (origin === undefined) return;
  for (const folder of config.tasks.dirs) {
    if (isFolder(folder)) continue;
    const message = `there is no folder ${folder}; its tasks can be called once it is there`;
    log.log("warn", "config.loaded", { warning: printFault({ origin, key, message }) });
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch {
    return false;
  }
}
