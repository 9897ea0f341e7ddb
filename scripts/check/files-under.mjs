import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** Every file under `folder` whose name fits, sorted; a folder that is not there holds none. */
export function filesUnder(folder, pattern) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter(
      (entry) => entry.isFile() && pattern.test(entry.name) && !entry.parentPath.includes("node_modules"),
    )
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
