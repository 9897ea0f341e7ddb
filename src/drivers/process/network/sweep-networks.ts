import { readdirSync, readlinkSync, statSync } from "node:fs";
import { findTool } from "../tools.ts";
import { NAMESPACES_FOLDER, NetworkNames, namespacePath } from "./names.ts";
import { runIp } from "./run-ip.ts";

/**
 * Removes the networks that earlier lives of this owner left behind, found by their names. One that a process is still in stays
 * until that has been reaped.
 *
 * @param isLive whether a number is in use by this life.
 * @throws Error when one cannot be removed.
 */
export async function sweepNetworks(owner: string, isLive: (index: number) => boolean): Promise<void> {
  const names = new NetworkNames(owner);
  const found = [...entries(NAMESPACES_FOLDER), ...entries("/sys/class/net")];
  const left = new Set(found.flatMap((name) => names.indexOf(name) ?? []).filter((index) => !isLive(index)));
  if (left.size === 0) return;
  const inhabited = inhabitedNamespaces();
  const ip = findTool("ip");
  const empty = [...left].filter((index) => !inhabited.has(inodeOf(namespacePath(names.namespace(index)))));
  if (ip !== undefined) await removeNetworks(ip, names, empty);
}

/** Takes networks apart, or what there is of them. @throws Error when something of them is still there. */
export async function removeNetworks(
  ip: string,
  names: NetworkNames,
  indices: readonly number[],
): Promise<void> {
  if (indices.length === 0) return;
  // The cable first, because a name space goes only some time after its name.
  const commands = indices.flatMap((index) => [
    `link delete dev ${names.link(index)}`,
    `netns delete ${names.namespace(index)}`,
  ]);
  try {
    await runIp(ip, ["-force"], commands);
  } catch (error) {
    // With `-force` it goes on after what it did not find, and fails in the end: what counts is what is left.
    const namespaces = new Set(entries(NAMESPACES_FOLDER));
    const links = new Set(entries("/sys/class/net"));
    if (indices.some((index) => namespaces.has(names.namespace(index)) || links.has(names.link(index))))
      throw error;
  }
}

/** The inodes of all network name spaces that a process is in. */
function inhabitedNamespaces(): ReadonlySet<number> {
  const inodes = new Set<number>();
  for (const pid of entries("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      inodes.add(Number(/\d+/.exec(readlinkSync(`/proc/${pid}/ns/net`))?.[0]));
    } catch {
      // It has ended, and one that has ended is in none.
    }
  }
  return inodes;
}

function inodeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? Number.NaN;
}

function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
