import type { FolderItem } from "./walk-folder.ts";

/**
 * Names what a folder has so that nothing of it stands in the way of entries that the archive is to have besides: a folder that is
 * named as one of their files, or a file as one of their folders, gets a number behind its name, and what is in it goes with it.
 *
 * @returns the name in the archive of an item; items come as they are walked, each folder before its contents.
 */
export function openWay(extra: readonly string[]): (item: FolderItem) => string {
  const files = new Set(extra.filter((name) => !name.endsWith("/")));
  const folders = new Set(extra.flatMap(foldersOf));
  const given = new Set<string>();
  const moved = new Map<string, string>();
  return (item) => {
    const name = below(item.name, moved);
    const isInTheWay = (item.type === "folder" ? files : folders).has(name) || given.has(name);
    if (!isInTheWay || item.type === "skipped") return name;
    const other = free(name, (one) => files.has(one) || folders.has(one) || given.has(one));
    given.add(other);
    moved.set(item.name, other);
    return other;
  };
}

/** The folders that an entry is in, and the one that it is. */
function foldersOf(name: string): readonly string[] {
  const parts = name.split("/").slice(0, -1);
  return parts.map((_, at) => parts.slice(0, at + 1).join("/"));
}

function below(name: string, moved: ReadonlyMap<string, string>): string {
  for (const [from, to] of moved) if (name.startsWith(`${from}/`)) return to + name.slice(from.length);
  return name;
}

function free(name: string, isTaken: (name: string) => boolean): string {
  let number = 2;
  while (isTaken(`${name}~${number}`)) number += 1;
  return `${name}~${number}`;
}
