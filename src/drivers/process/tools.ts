import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { delimiter, dirname, isAbsolute, join } from "node:path";

/** Where programs of the host are looked for; what a task's `PATH` holds, after the folder of this daemon's own Node. */
const STANDARD_PATH = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];

/** The absolute path of a program in the standard places. */
export function findTool(name: string, places: readonly string[] = STANDARD_PATH): string | undefined {
  return places.map((place) => join(place, name)).find(isProgram);
}

export function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** What a task finds its programs in: this daemon's own Node first, so that a task needs no Node of its own. */
export function taskPath(nodePath: string = process.execPath): string {
  return [...new Set([dirname(nodePath), ...STANDARD_PATH])].join(delimiter);
}

/** Whether a task's program can be executed, seen from its folder. */
export function canExecute(program: string, folder: string, path: string): boolean {
  if (isAbsolute(program)) return isProgram(program);
  if (program.includes("/")) return isProgram(join(folder, program));
  return findTool(program, path.split(delimiter)) !== undefined;
}

/**
 * What of this Node lies outside the system's own folders and must be shown to a task: the whole installation where it looks
 * like one, otherwise the program alone, because the folder above it may be somebody's home.
 */
export function ownNodePieces(nodePath: string = process.execPath): readonly string[] {
  const real = realpathSync(nodePath);
  if (/^\/(usr|bin|sbin|lib|lib64)\//.test(real)) return [];
  const prefix = dirname(dirname(real));
  const isInstallation =
    isDirectory(join(prefix, "include", "node")) || isDirectory(join(prefix, "lib", "node_modules"));
  return isInstallation ? [prefix] : [...new Set([real, nodePath])];
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
