import { ExecutorError } from "../../core/index.ts";
import type { EntryName } from "./entry-name.ts";
import { shown } from "./entry-name.ts";

interface Taken {
  readonly path: string;
  readonly isFolder: boolean;
  /** Named only as the folder of something else; an entry of its own may still come. */
  readonly isImplied: boolean;
}

/**
 * Refuses a second entry for a name that was there before, also one that differs only in case or in how its letters are
 * composed: which of two such files is left would depend on the file system.
 */
export function openNameBook(): { readonly add: (name: EntryName) => void } {
  const names = new Map<string, Taken>();
  const put = (path: string, next: Taken): void => {
    const key = folded(path);
    const held = names.get(key);
    if (held === undefined) names.set(key, next);
    else if (held.path !== path || !held.isFolder || !next.isFolder) throw clash(path);
    else if (!next.isImplied) {
      if (!held.isImplied) throw clash(path);
      names.set(key, next);
    }
  };
  return {
    add({ path, segments, isFolder }) {
      for (let depth = 1; depth < segments.length; depth += 1) {
        const above = segments.slice(0, depth).join("/");
        put(above, { path: above, isFolder: true, isImplied: true });
      }
      put(path, { path, isFolder, isImplied: false });
    },
  };
}

const clash = (path: string): ExecutorError =>
  new ExecutorError("ARCHIVE_INVALID", { reason: "two entries with one name", entry: shown(path) });

const ASCII = /^[\u0020-\u007e]*$/;

/** Upper case first: `ſ` and `s`, or `ß` and `ss`, meet only there. */
function folded(path: string): string {
  // Most names: of these no letter has another form.
  if (ASCII.test(path)) return path.toLowerCase();
  return path.normalize("NFKC").toUpperCase().toLowerCase();
}
