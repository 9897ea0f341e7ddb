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
  readonly #sinceMs = new Map<string, number>();

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** @returns those of `found` that may be taken over now. @param isAll whether nothing was left out of `found`. */
  judge(found: readonly Silent[], nowMs: number, isAll: boolean): readonly Silent[] {
    const names = new Set(found.map(keyOf));
    for (const [name, sinceMs] of this.#sinceMs) {
      const isStale = nowMs - sinceMs > this.#leaseMs * 10;
      if (isStale || (isAll && !names.has(name))) this.#sinceMs.delete(name);
    }
    return found.filter((silent) => {
      const sinceMs = this.#sinceMs.get(keyOf(silent));
      if (sinceMs === undefined) {
        this.#sinceMs.set(keyOf(silent), nowMs);
        return false;
      }
      return silent.idleMs >= this.#leaseMs && nowMs - sinceMs >= this.#leaseMs / 2;
    });
  }

  /** When Redis was away nobody could renew: whoever looks silent gets his time again. */
  clear(): void {
    this.#sinceMs.clear();
  }
}

function keyOf({ stream, entryId, consumer }: Silent): string {
  return `${stream} ${entryId} ${consumer}`;
}
