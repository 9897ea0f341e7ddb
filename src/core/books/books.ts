import type { Card, CardHold, Rack } from "../gpus/rack.ts";
import { bookedMemory, canTakeAll, NOW, placeOnCards } from "../gpus/rack.ts";
import type { SandboxId } from "../ids.ts";
import type { DoorName } from "../settings.ts";
import type { Amounts, Resources, TaskResources } from "../task/resources.ts";
import { amountsOf, fits, minus, NO_RESOURCES, plus } from "../task/resources.ts";

/** What one sandbox holds. */
export interface Reservation {
  readonly holder: SandboxId;
  readonly door: DoorName;
  readonly resources: Resources;
  /** Its cards, by UUID: GPUs are booked by card, never by count. */
  readonly gpuIds: readonly string[];
}

/**
 * One set of books for the host's CPU, memory and GPUs. The sum of all reservations never exceeds the capacity by a `reserve`
 * or a `resize`; only lowering the capacity can leave it above, and then nothing is granted until it is under again. A card
 * that goes away stays booked for those who hold it, and is given to nobody else.
 */
export class Books {
  #capacity: Amounts;
  #used: Amounts = amountsOf(NO_RESOURCES);
  #cards: readonly Card[] = [];
  #canShare = false;
  readonly #held = new Map<SandboxId, Reservation>();
  readonly #holds = new Map<string, readonly CardHold[]>();
  #returned: string[] = [];

  constructor(capacity: Amounts) {
    this.#capacity = amountsOf(capacity);
  }

  /** The cards counted are those that can be had at all: in use or not, but not broken. */
  get capacity(): Resources {
    return { ...this.#capacity, gpuCount: this.#cards.filter((card) => card.isHealthy).length };
  }

  get used(): Resources {
    return { ...this.#used, gpuCount: this.#holds.size };
  }

  /** Negative in a dimension while a lowered capacity is still exceeded there. */
  get free(): Amounts {
    return minus(this.#capacity, this.#used);
  }

  get rack(): Rack {
    return { cards: this.#cards, holds: this.#holds, canShare: this.#canShare };
  }

  setCapacity(capacity: Amounts): void {
    this.#capacity = amountsOf(capacity);
  }

  /** The cards as they are now, and whether new holders may share one. What is booked stays booked. */
  setCards(cards: readonly Card[], canShare: boolean): void {
    this.#cards = cards;
    this.#canShare = canShare;
  }

  /** The cards that fell free since this was last asked. */
  takeReturnedCards(): readonly string[] {
    const returned = this.#returned;
    this.#returned = [];
    return returned;
  }

  /**
   * All or nothing. A holder that holds something already is refused: it would be booked twice.
   *
   * @param gpuIds the cards to book; left out, they are chosen here.
   */
  reserve(
    holder: SandboxId,
    door: DoorName,
    wish: TaskResources,
    gpuIds?: readonly string[],
  ): Reservation | undefined {
    if (this.#held.has(holder) || !fits(wish, this.free)) return undefined;
    const { rack } = this;
    const cards = gpuIds ?? placeOnCards(wish, rack, NOW);
    if (cards === undefined || !canTakeAll(cards, wish, rack, NOW)) return undefined;
    return this.#book(holder, door, wish, cards, bookedMemory(wish, rack));
  }

  /**
   * Books what a sandbox of an earlier life holds already, whether it fits or not: it runs, and books that deny it would lie.
   * The caller checks `free` afterwards and ends sandboxes until it is not negative.
   *
   * @param gpuIds exactly its cards, present or not.
   */
  assume(
    holder: SandboxId,
    door: DoorName,
    held: TaskResources,
    gpuIds: readonly string[],
  ): Reservation | undefined {
    if (this.#held.has(holder)) return undefined;
    // Two of them may share a card although that is no longer allowed.
    return this.#book(holder, door, held, [...new Set(gpuIds)], held.gpuMemoryBytes);
  }

  /** Changes what a holder holds; growing is all or nothing, shrinking always succeeds. Its cards stay as they are. */
  resize(holder: SandboxId, wish: Amounts): boolean {
    const old = this.#held.get(holder);
    if (old === undefined) return false;
    const more = minus(wish, old.resources);
    if ((more.cpuMillis > 0 || more.memoryBytes > 0) && !fits(positive(more), this.free)) return false;
    this.#held.set(holder, { ...old, resources: { ...old.resources, ...amountsOf(wish) } });
    this.#used = plus(this.#used, more);
    return true;
  }

  /** Returns a reservation. The second return of the same one is no change and says `false`. */
  release(holder: SandboxId): boolean {
    const old = this.#held.get(holder);
    if (old === undefined) return false;
    this.#held.delete(holder);
    this.#used = minus(this.#used, old.resources);
    for (const id of old.gpuIds) this.#takeOff(id, holder);
    return true;
  }

  heldBy(holder: SandboxId): Reservation | undefined {
    return this.#held.get(holder);
  }

  heldByDoor(door: DoorName): Resources {
    let sum = amountsOf(NO_RESOURCES);
    const cards = new Set<string>();
    for (const held of this.#held.values()) {
      if (held.door !== door) continue;
      sum = plus(sum, held.resources);
      for (const id of held.gpuIds) cards.add(id);
    }
    return { ...sum, gpuCount: cards.size };
  }

  reservations(): readonly Reservation[] {
    return [...this.#held.values()];
  }

  #book(
    holder: SandboxId,
    door: DoorName,
    wish: Amounts,
    gpuIds: readonly string[],
    gpuMemoryBytes: number,
  ): Reservation {
    const resources = { ...amountsOf(wish), gpuCount: gpuIds.length };
    const reservation = { holder, door, resources, gpuIds };
    this.#held.set(holder, reservation);
    this.#used = plus(this.#used, wish);
    const hold = { holder, memoryBytes: gpuMemoryBytes, isClaim: false };
    for (const id of gpuIds) this.#holds.set(id, [...(this.#holds.get(id) ?? []), hold]);
    return reservation;
  }

  #takeOff(id: string, holder: SandboxId): void {
    const left = (this.#holds.get(id) ?? []).filter((hold) => hold.holder !== holder);
    if (left.length > 0) {
      this.#holds.set(id, left);
      return;
    }
    this.#holds.delete(id);
    this.#returned.push(id);
  }
}

/** Only growth has to fit: a dimension that shrinks never stands in the way. */
function positive(more: Amounts): Amounts {
  return {
    cpuMillis: more.cpuMillis > 0 ? more.cpuMillis : Number.NEGATIVE_INFINITY,
    memoryBytes: more.memoryBytes > 0 ? more.memoryBytes : Number.NEGATIVE_INFINITY,
  };
}
