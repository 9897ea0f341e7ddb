/** An entry that its holder has not touched for a while. */
export interface Silent {
  readonly stream: string;
  readonly entryId: string;
  readonly consumer: string;
  /** By Redis's clock. */
  readonly idleMs: number;
}

/**
 * Who is dead. Redis's clock says how long an entry was not renewed, and a clock may jump; so an entry must be found silent twice,
 * half a lease apart by this host's own clock. A live host renews every third of a lease, and is then found silent no more.
 */
export class Suspicions {
  readonly #leaseMs: number;
  readonly #seen = new Map<string, { readonly sinceMs: number; lastMs: number }>();

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** @returns those of `found` that may be taken over now. @param isAll whether nothing was left out of `found`. */
  judge(found: readonly Silent[], nowMs: number, isAll: boolean): readonly Silent[] {
    const names = new Set(found.map(keyOf));
    for (const [name, { lastMs }] of this.#seen) {
      const isStale = nowMs - lastMs > this.#leaseMs * 10;
      if (isStale || (isAll && !names.has(name))) this.#seen.delete(name);
    }
    return found.filter((silent) => {
      const seen = this.#seen.get(keyOf(silent));
      if (seen === undefined) {
        this.#seen.set(keyOf(silent), { sinceMs: nowMs, lastMs: nowMs });
        return false;
      }
      seen.lastMs = nowMs;
      return silent.idleMs >= this.#leaseMs && nowMs - seen.sinceMs >= this.#leaseMs / 2;
    });
  }

  /** When Redis was away nobody could renew: whoever looks silent gets his time again. */
  clear(): void {
    this.#seen.clear();
  }
}

function keyOf({ stream, entryId, consumer }: Silent): string {
  return `${stream} ${entryId} ${consumer}`;
}
