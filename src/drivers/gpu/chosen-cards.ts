import type { Card } from "./report.ts";

/**
 * Which cards this daemon may use. A choice by index is a choice of the card that had it when it was first seen: indices move
 * when a card vanishes, and then another one must not take its place.
 */
export class ChosenCards {
  readonly #lists: readonly List[];
  readonly #seen = new Set<string>();

  /** @param lists each narrows the others; an empty one allows nothing. */
  constructor(lists: readonly (readonly string[])[]) {
    this.#lists = lists.map((names) => new List(names));
  }

  has(id: string): boolean {
    return this.#lists.every((list) => list.has(id));
  }

  /** Learns which cards have which index. */
  meet(cards: readonly Card[]): void {
    for (const { id, index } of cards) {
      if (this.#seen.has(id)) continue;
      this.#seen.add(id);
      for (const list of this.#lists) list.meet(id, index);
    }
  }
}

class List {
  readonly #ids: readonly string[];
  readonly #open: Set<number>;
  readonly #byIndex = new Set<string>();

  constructor(names: readonly string[]) {
    this.#ids = names.filter((name) => !isIndex(name)).map((name) => name.toLowerCase());
    this.#open = new Set(names.filter(isIndex).map(Number));
  }

  has(id: string): boolean {
    const lower = id.toLowerCase();
    return this.#byIndex.has(id) || this.#ids.some((wanted) => lower.startsWith(wanted));
  }

  meet(id: string, index: number): void {
    if (this.#open.delete(index)) this.#byIndex.add(id);
  }
}

function isIndex(name: string): boolean {
  return /^\d+$/.test(name);
}

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isInContainer: boolean;
}

/**
 * The narrowings that the daemon's own surroundings ask for. `NVIDIA_VISIBLE_DEVICES` speaks of the host's indices; in a
 * container the runtime has obeyed it already and what is left is counted anew, so only its UUIDs and its "none" mean anything there.
 */
export function surroundingChoice({ env, isInContainer }: Surroundings): readonly (readonly string[])[] {
  const lists: (readonly string[])[] = [];
  const cuda = env["CUDA_VISIBLE_DEVICES"];
  if (cuda !== undefined) lists.push(cudaList(cuda));
  const nvidia = env["NVIDIA_VISIBLE_DEVICES"];
  if (nvidia !== undefined && nvidia !== "" && nvidia !== "all") {
    const names = words(nvidia).filter((name) => /^GPU-./i.test(name) || (isIndex(name) && !isInContainer));
    if (names.length > 0 || nvidia === "none" || nvidia === "void") lists.push(names);
  }
  return lists;
}

/** As CUDA reads it: the first word that names no card ends the list. */
function cudaList(text: string): readonly string[] {
  const names = words(text);
  const end = names.findIndex((name) => !isIndex(name) && !/^GPU-./i.test(name));
  return end < 0 ? names : names.slice(0, end);
}

function words(text: string): readonly string[] {
  return text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
}
