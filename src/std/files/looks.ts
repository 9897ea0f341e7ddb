import type { Dirent, Stats } from "node:fs";
import {
  close,
  closeSync,
  fstat,
  fstatSync,
  lstatSync,
  open,
  opendirSync,
  openSync,
  read,
  readdirSync,
  readSync,
} from "node:fs";
import { lstat, opendir, statfs } from "node:fs/promises";
import { promisify } from "node:util";

/** A value that is there, or will be. */
export type Soon<T> = T | Promise<T>;

/**
 * Looks at files: nothing is changed. On a file system of this host each takes some microseconds, a tenth of what it takes to have
 * another thread do it; there they are done at once. Elsewhere, where a server that is away makes whoever asks wait, by a thread.
 * Whoever takes many at a time lets others have a turn in between. All throw what the file system says.
 */
export interface Looks {
  open(path: string | Buffer, flags: number): Soon<number>;
  close(fd: number): Soon<void>;
  stats(fd: number): Soon<Stats>;
  /** Of what has this name, a link itself; `undefined` for nothing. */
  statsOf(path: string): Soon<Stats | undefined>;
  /** @returns how many bytes were read, which may be fewer than there are; 0 at the end. */
  read(fd: number, into: Uint8Array, offset: number, position: number | null): Soon<number>;
  /** What is in a folder; `undefined` if that is more than `most`. */
  entries(path: string, most: number): Soon<readonly Dirent[] | undefined>;
}

/** The numbers of `statfs(2)` for file systems of this host's own disks and memory (include/uapi/linux/magic.h; zfs and bcachefs: theirs). */
const OF_THIS_HOST = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // xfs
  0x9123683e, // btrfs
  0xf2f52010, // f2fs
  0x2fc12fc1, // zfs
  0xca451a4e, // bcachefs
  0x01021994, // tmpfs
  0x794c7630, // overlayfs
]);

/** How to look below a folder. What is mounted further below counts as the folder does. Never rejects. */
export async function looksBelow(folder: string): Promise<Looks> {
  const type = await statfs(folder).then(
    (facts) => facts.type >>> 0,
    () => undefined, // nobody knows what it is, and whoever looks there hears what is wrong
  );
  return type !== undefined && OF_THIS_HOST.has(type) ? looksAtOnce : looksLater;
}

/**
 * A folder whose own size is no more has some thousand entries at most, whatever its file system counts in: bytes of a block, or
 * entries. Such a one is read as a whole, which is far less work than to read it piece by piece.
 */
const SMALL_FOLDER = 4096;

export const looksAtOnce: Looks = {
  open: (path, flags) => openSync(path, flags),
  close: (fd) => closeSync(fd),
  stats: (fd) => fstatSync(fd),
  statsOf: (path) => lstatSync(path, { throwIfNoEntry: false }),
  read: (fd, into, offset, position) => readSync(fd, into, offset, into.length - offset, position),
  entries(path, most) {
    const { size } = lstatSync(path);
    if (size > 0 && size <= SMALL_FOLDER) {
      const all = readdirSync(path, { withFileTypes: true });
      return all.length > most ? undefined : all;
    }
    const folder = opendirSync(path);
    try {
      const found: Dirent[] = [];
      for (let next = folder.readSync(); next !== null; next = folder.readSync()) {
        if (found.length === most) return undefined;
        found.push(next);
      }
      return found;
    } finally {
      folder.closeSync();
    }
  },
};

const openLater = promisify(open);
const closeLater = promisify(close);
const statsLater = promisify<number, Stats>(fstat);
const readLater = promisify(read);

export const looksLater: Looks = {
  open: (path, flags) => openLater(path, flags),
  close: (fd) => closeLater(fd),
  stats: (fd) => statsLater(fd),
  async statsOf(path) {
    try {
      return await lstat(path);
    } catch (error) {
      if ((error as { readonly code?: unknown }).code === "ENOENT") return undefined;
      throw error;
    }
  },
  async read(fd, into, offset, position) {
    return (await readLater(fd, into, offset, into.length - offset, position)).bytesRead;
  },
  async entries(path, most) {
    const found: Dirent[] = [];
    for await (const next of await opendir(path)) {
      if (found.length === most) return undefined;
      found.push(next);
    }
    return found;
  },
};
