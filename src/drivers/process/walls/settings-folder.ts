import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ExecutorError } from "../../../core/index.ts";

/** Of the system's settings, only what programs need to find names, certificates, libraries and the time. */
const SETTINGS = [
  "alternatives",
  "ca-certificates",
  "crypto-policies",
  "hosts",
  "ld.so.cache",
  "localtime",
  "mime.types",
  "nsswitch.conf",
  "pki",
  "protocols",
  "services",
  "ssl",
];
/** How often the host is looked at, however many sandboxes start meanwhile. */
const LOOK_AGAIN_MS = 100;
/** What each sandbox has in its own way: places for it. */
const PLACES = ["passwd", "resolv.conf"];

/** What is mounted at a sandbox's `/etc`, and on it. */
export interface SettingsView {
  readonly folder: string;
  /** Names of folders in the host's `/etc` that are seen at their own place. */
  readonly folders: readonly string[];
}

/**
 * The part of `/etc` that every sandbox sees, as a folder of ours: one mount instead of one for each file. Files are copies, which
 * follow the host's at the start of a sandbox, a tenth of a second late at most; folders are empty places for the host's own.
 */
export class SettingsFolder {
  readonly #folder: string;
  readonly #source: string;
  readonly #lookAgainMs: number;
  readonly #stamps = new Map<string, string>();
  #seen: { readonly view: SettingsView; readonly atMs: number } | undefined;

  /** @param folder of ours. @throws {@link ExecutorError} DISK_FULL, ENGINE_FAILED. */
  constructor(folder: string, source = "/etc", lookAgainMs = LOOK_AGAIN_MS) {
    this.#folder = folder;
    this.#source = source;
    this.#lookAgainMs = lookAgainMs;
    told(() => {
      mkdirSync(folder, { recursive: true, mode: 0o755 });
      for (const name of PLACES) writeFileSync(join(folder, name), "", { mode: 0o644, flag: "a" });
    });
  }

  /** As the host has it, or had it a moment ago. @throws {@link ExecutorError} DISK_FULL, ENGINE_FAILED. */
  view(): SettingsView {
    const nowMs = performance.now();
    if (this.#seen === undefined || nowMs - this.#seen.atMs >= this.#lookAgainMs)
      this.#seen = { view: told(() => this.#followAll()), atMs: nowMs };
    return this.#seen.view;
  }

  #followAll(): SettingsView {
    const folders: string[] = [];
    for (const name of SETTINGS) {
      const facts = statSync(join(this.#source, name), { throwIfNoEntry: false });
      const stamp = facts === undefined ? "none" : facts.isDirectory() ? "folder" : stampOf(facts);
      if (stamp === "folder") folders.push(name);
      if (this.#stamps.get(name) === stamp) continue;
      this.#follow(name, stamp);
      this.#stamps.set(name, stamp);
    }
    return { folder: this.#folder, folders };
  }

  #follow(name: string, stamp: string): void {
    const place = join(this.#folder, name);
    if (stamp === "folder") {
      if (statSync(place, { throwIfNoEntry: false })?.isDirectory() === true) return;
      rmSync(place, { force: true });
      mkdirSync(place, { mode: 0o755 });
      return;
    }
    // What an earlier life has copied needs no room, which a full disk would not have.
    if (stamp !== "none" && isSame(join(this.#source, name), place)) return;
    const fresh = `${place}.new`;
    rmSync(fresh, { force: true });
    if (stamp !== "none") copyFileSync(join(this.#source, name), fresh);
    if (stamp === "none" || statSync(place, { throwIfNoEntry: false })?.isDirectory() === true)
      rmSync(place, { recursive: true, force: true });
    // In one step: sandboxes that run see the old one or the new one.
    if (stamp !== "none") renameSync(fresh, place);
  }
}

function told<Value>(work: () => Value): Value {
  try {
    return work();
  } catch (error) {
    const isFull = (error as NodeJS.ErrnoException).code === "ENOSPC";
    const reason = "the settings of this host that tasks see could not be copied";
    throw new ExecutorError(isFull ? "DISK_FULL" : "ENGINE_FAILED", { reason }, { cause: error });
  }
}

function isSame(source: string, copy: string): boolean {
  const [one, other] = [source, copy].map((path) => statSync(path, { throwIfNoEntry: false }));
  if (other?.isFile() !== true || one?.size !== other.size || one.mode !== other.mode) return false;
  return readFileSync(source).equals(readFileSync(copy));
}

function stampOf({ dev, ino, size, mtimeMs, ctimeMs }: ReturnType<typeof statSync> & object): string {
  return [dev, ino, size, mtimeMs, ctimeMs].join(":");
}
