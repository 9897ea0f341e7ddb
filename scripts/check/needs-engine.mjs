import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const ENGINE = join("test", "support", "private-engine.ts");
const IMPORT = /\bfrom "(\.{1,2}\/[^"]+)"/g;

/** Whether a test file starts a Docker engine of its own: whether its imports, or theirs within the test tree, lead to the one that does. */
export function needsEngine(file, seen = new Set()) {
  if (file.endsWith(ENGINE)) return true;
  if (seen.has(file) || !existsSync(file)) return false;
  seen.add(file);
  return [...readFileSync(file, "utf8").matchAll(IMPORT)]
    .map(([, path]) => resolve(dirname(file), path))
    .some((path) => path.includes(`${join("/", "test")}/`) && needsEngine(path, seen));
}
