import type { SandboxId } from "../ids.ts";
import type { DoorName } from "../settings.ts";
import type { Resources } from "../task/resources.ts";
import { fits, minus, NO_RESOURCES, plus } from "../task/resources.ts";

/** What the host gives to tasks. GPUs are booked by id, so that no two sandboxes ever share a card. */
export interface Capacity {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly gpuIds: readonly string[];
}

/** What one sandbox holds. */
export interface Reservation {
  readonly holder: SandboxId;
  readonly door: DoorName;
  readonly resources: Resources;
  readonly gpuIds: readonly string[];
}

/**
 * One set of books for the host's CPU, memory and GPUs. The sum of all reservations never exceeds the capacity by a `reserve`
 * or a `resize`; only lowering the capacity can leave it above, and then nothing is granted until it is under again.
 */
export class Books {
  #capacity: Capacity;
  #used: Resources = NO_RESOURCES;
  readonly #held = new Map<SandboxId, Reservation>();

  constructor(capacity: Capacity) {
    this.#capacity = capacity;
  }

  get capacity(): Resources {
    const { cpuMillis, memoryBytes, gpuIds } = this.#capacity;
    return { cpuMillis, memoryBytes, gpuCount: gpuIds.length };
  }

  get used(): Resources {
    return this.#used;
  }

  /** Negative in a dimension while a lowered capacity is still exceeded there. */
  get free(): Resources {
    return minus(this.capacity, this.#used);
  }

  setCapacity(capacity: Capacity): void {
    this.#capacity = capacity;
  }

  /** All or nothing. A holder that holds something already is refused: it would be booked twice. */
  reserve(holder: SandboxId, door: DoorName, wish: Resources): Reservation | undefined {
    if (this.#held.has(holder) || !fits(wish, this.free)) return undefined;
    return this.#book(holder, door, wish);
  }

  /**
   * Books what a sandbox of an earlier life holds already, whether it fits or not: it runs, and books that deny it would lie.
   * The caller checks `free` afterwards and ends sandboxes until it is not negative.
   */
  assume(holder: SandboxId, door: DoorName, held: Resources): Reservation | undefined {
    return this.#held.has(holder) ? undefined : this.#book(holder, door, held);
  }

  /** Changes what a holder holds; growing is all or nothing, shrinking always succeeds. GPUs cannot be resized. */
  resize(holder: SandboxId, wish: Resources): boolean {
    const old = this.#held.get(holder);
    if (old === undefined || wish.gpuCount !== old.resources.gpuCount) return false;
    const more = minus(wish, old.resources);
    if ((more.cpuMillis > 0 || more.memoryBytes > 0) && !fits(positive(more), this.free)) return false;
    this.#held.set(holder, { ...old, resources: wish });
    this.#used = plus(this.#used, more);
    return true;
  }

  /** Returns a reservation. The second return of the same one is no change and says `false`. */
  release(holder: SandboxId): boolean {
    const old = this.#held.get(holder);
    if (old === undefined) return false;
    this.#held.delete(holder);
    this.#used = minus(this.#used, old.resources);
    return true;
  }

  heldBy(holder: SandboxId): Reservation | undefined {
    return this.#held.get(holder);
  }

  heldByDoor(door: DoorName): Resources {
    let sum = NO_RESOURCES;
    for (const held of this.#held.values()) if (held.door === door) sum = plus(sum, held.resources);
    return sum;
  }

  reservations(): readonly Reservation[] {
    return [...this.#held.values()];
  }

  #book(holder: SandboxId, door: DoorName, wish: Resources): Reservation {
    const taken = new Set([...this.#held.values()].flatMap((held) => held.gpuIds));
    const gpuIds = this.#capacity.gpuIds.filter((id) => !taken.has(id)).slice(0, wish.gpuCount);
    const reservation = { holder, door, resources: wish, gpuIds };
    this.#held.set(holder, reservation);
    this.#used = plus(this.#used, wish);
    return reservation;
  }
}

/** Only growth has to fit: a dimension that shrinks never stands in the way. */
function positive(more: Resources): Resources {
  return {
    cpuMillis: more.cpuMillis > 0 ? more.cpuMillis : Number.NEGATIVE_INFINITY,
    memoryBytes: more.memoryBytes > 0 ? more.memoryBytes : Number.NEGATIVE_INFINITY,
    gpuCount: Number.NEGATIVE_INFINITY,
  };
}
