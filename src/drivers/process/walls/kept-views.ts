import { statSync } from "node:fs";
import { join } from "node:path";
import { ExecutorError } from "../../../core/index.ts";
import { orAbort, withDeadline } from "../../../std/index.ts";
import type { Spawner, SpawnRequest, Tree } from "../spawner/index.ts";
import { MOST_VIEWS, SELF_PATH } from "../spawner/index.ts";
import type { LaunchedTask } from "../task/launch.ts";
import { launch } from "../task/launch.ts";
import { ownNodePieces } from "../tools.ts";
import type { ViewOptions } from "./bubblewrap.ts";
import { HOST_RESOLV_CONF, keptViewArguments, SCRIPTS_PLACE, TASK_PLACE } from "./bubblewrap.ts";
import type { CommandWish } from "./command-line.ts";
import { lastStep } from "./command-line.ts";
import { OOM_SCORE, OPEN_FILES } from "./limits.ts";
import { scriptsOf } from "./scripts-folder.ts";

const MAKE_DEADLINE_MS = 10_000;
const TAIL_BYTES = 4096;
/** Programs that keep views may end; who meets that twice in a row has met something else. */
const MOST_TRIES = 2;

interface Kept {
  readonly place: number;
  /** Resolves with the program that keeps it. */
  readonly made: Promise<object | undefined>;
  /** Starts that are about to copy it. */
  uses: number;
}

/** What a process is started with besides its walls, and what is inside. */
export type Outside = Omit<SpawnRequest, "argv" | "walls" | "folder">;

/**
 * Views of the files that bubblewrap has made once each, in which sandboxes are started as copies: what all of them see is not put
 * together anew for each. Nothing that can be written is shared, see spawner.c. A view is made when it is first wanted, and again when
 * something that it shows has been replaced on the host.
 */
export class KeptViews {
  readonly #spawner: Spawner;
  readonly #bubblewrap: string;
  readonly #nodePieces = ownNodePieces();
  /** By what they show, the least recently used first. */
  readonly #kept = new Map<string, Kept>();

  constructor(spawner: Spawner, bubblewrap: string) {
    this.#spawner = spawner;
    this.#bubblewrap = bubblewrap;
  }

  /**
   * Starts a process under a uid of its own. Resolves with `undefined` where a copy will not do: there is no room for one view
   * more, or something that it is to show lies where each copy has its own.
   *
   * @throws {@link ExecutorError} SANDBOX_START_FAILED, ENGINE_UNAVAILABLE.
   */
  async launch(wish: CommandWish, outside: Outside): Promise<LaunchedTask | undefined> {
    if ([...this.#nodePieces, ...wish.readOnlyPaths].some(isCovered)) return undefined;
    const trees = treesOf(wish);
    const places = trees.map(({ target }) => target);
    const argv = lastStep({ bubblewrap: this.#bubblewrap, givesUpPrivileges: true }, wish);
    const { scratchBytes } = wish;
    // A job's is open to its own uid alone, and it goes there itself.
    const folder = wish.work === undefined ? TASK_PLACE : "/";
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const kept = this.#keptFor(wish, places);
      if (kept === undefined) return undefined;
      kept.uses += 1;
      try {
        const program = await kept.made;
        if (program !== undefined && program === this.#spawner.program) {
          const walls = { place: kept.place, scratchBytes, trees };
          return await launch(this.#spawner, { ...outside, argv, folder, walls, leaderKind: "first" });
        }
      } finally {
        kept.uses -= 1;
      }
      this.#forget(kept);
    }
    throw new ExecutorError("ENGINE_UNAVAILABLE", { reason: "the program that starts tasks has ended" });
  }

  #keptFor(view: ViewOptions, places: readonly string[]): Kept | undefined {
    const key = keyOf(view, places);
    const known = this.#kept.get(key);
    this.#kept.delete(key);
    const kept = known ?? this.#begin(view, places);
    if (kept !== undefined) this.#kept.set(key, kept);
    return kept;
  }

  #begin(view: ViewOptions, places: readonly string[]): Kept | undefined {
    const place = this.#freePlace();
    if (place === undefined) return undefined;
    const kept: Kept = { place, made: this.#make(place, view, places), uses: 0 };
    kept.made.catch(() => this.#forget(kept));
    return kept;
  }

  #freePlace(): number | undefined {
    const taken = new Set([...this.#kept.values()].map(({ place }) => place));
    const free = Array.from({ length: MOST_VIEWS }, (_, place) => place).find((place) => !taken.has(place));
    if (free !== undefined) return free;
    const unused = [...this.#kept.values()].find(({ uses }) => uses === 0);
    if (unused !== undefined) this.#forget(unused);
    return unused?.place;
  }

  #forget(kept: Kept): void {
    for (const [key, value] of this.#kept) {
      if (value !== kept) continue;
      this.#kept.delete(key);
      this.#spawner.letGoOfView(kept.place);
    }
  }

  /** Has bubblewrap make it around a process that stands still for as long as it takes to keep it. */
  async #make(place: number, view: ViewOptions, places: readonly string[]): Promise<object | undefined> {
    const limits = { joinFiles: [], openFiles: OPEN_FILES, oomScore: OOM_SCORE, users: "" };
    const argv = [this.#bubblewrap, ...keptViewArguments(view, places), "--", SELF_PATH, "stand"];
    const how = { folder: "/", network: { type: "host" }, leaderKind: "bubblewrap" } as const;
    const launched = await launch(this.#spawner, { argv, ...how, ...limits });
    try {
      const facts = { reason: `its view of the files was not made within ${MAKE_DEADLINE_MS} ms` };
      const deadline = { ms: MAKE_DEADLINE_MS, code: "SANDBOX_START_FAILED", facts } as const;
      return await withDeadline(deadline, (within) => orAbort(this.#keep(place, launched), within));
    } finally {
      launched.killLeader();
      launched.closeOutput();
    }
  }

  async #keep(place: number, launched: LaunchedTask): Promise<object | undefined> {
    const { begun, exited, drained, ring } = launched;
    const isOver = exited.then(() => drained).then(() => false);
    const isStanding = await Promise.race([begun.then(() => true), isOver]);
    // Told before it began: the first process inside. The one that we wait for is outside.
    const { group } = launched;
    if (!isStanding || group === undefined) {
      const reason = "its view of the files could not be made";
      throw new ExecutorError("SANDBOX_START_FAILED", { reason, logTail: ring.tail(TAIL_BYTES).text });
    }
    const { program } = this.#spawner;
    await this.#spawner.keepView(place, group);
    return program;
  }
}

/** Where each copy has mounts of its own, see spawner.c: what a view shows there is hidden. */
const OWN_PLACES = ["/tmp", "/dev/shm", "/dev/pts", "/proc"];

function isCovered(path: string): boolean {
  return OWN_PLACES.some((place) => path === place || path.startsWith(`${place}/`));
}

function treesOf({ folder, work }: CommandWish): readonly Tree[] {
  const task: Tree = { source: folder, target: TASK_PLACE, access: "read" };
  if (work === undefined) return [task];
  const scripts = scriptsOf(folder);
  return [
    task,
    ...(scripts === undefined ? [] : [{ source: scripts, target: SCRIPTS_PLACE, access: "read" } as const]),
    { ...work, access: "write" },
  ];
}

/** What a view shows, with what tells whether it still does: a mount shows what was there when it was made. */
function keyOf(view: ViewOptions, places: readonly string[]): string {
  const { settings, readOnlyPaths, devices, resolvConf = HOST_RESOLV_CONF } = view;
  const shown = [...settings.folders.map((name) => join("/etc", name)), ...readOnlyPaths, ...devices];
  const stamps = [resolvConf, ...shown].map(stampOf);
  return JSON.stringify([settings, readOnlyPaths, devices, resolvConf, places, stamps]);
}

function stampOf(path: string): string | undefined {
  const facts = statSync(path, { throwIfNoEntry: false });
  return facts && `${facts.dev}:${facts.ino}`;
}
