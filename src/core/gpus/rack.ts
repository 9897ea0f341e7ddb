import type { GpuWish } from "../task/resources.ts";

/** A card as its last reading shows it. */
export interface Card {
  readonly id: string;
  readonly memoryBytes: number;
  /** What of it nobody uses, our own tasks included. */
  readonly freeMemoryBytes: number;
  readonly isHealthy: boolean;
  /**
   * What others do with it; it counts only while nothing here holds the card. `settling`: it reads busy, but a holder has only
   * just let go of it, so that the reading may be about that holder.
   */
  readonly use: "free" | "settling" | "busy";
}

/** What one holder has on a card. */
export interface CardHold {
  readonly holder: string;
  /** 0: the whole card. */
  readonly memoryBytes: number;
  /** Promised to somebody whose room is still being made, not booked yet. */
  readonly isClaim: boolean;
}

/** All cards, and what is on each. */
export interface Rack {
  readonly cards: readonly Card[];
  readonly holds: ReadonlyMap<string, readonly CardHold[]>;
  /** Whether several holders may share a card by its memory. If not, a wish for memory takes whole cards. */
  readonly canShare: boolean;
}

export const EMPTY_RACK: Rack = { cards: [], holds: new Map(), canShare: false };

export interface PlaceOptions {
  /** Holders that will be gone. */
  readonly gone: ReadonlySet<string>;
  /** `now`: can be booked as things stand. `soon`: can be booked once those who go have gone and the cards have settled. */
  readonly when: "now" | "soon";
}

const NOBODY: ReadonlySet<string> = new Set();
export const NOW: PlaceOptions = { gone: NOBODY, when: "now" };
export const SOON: PlaceOptions = { gone: NOBODY, when: "soon" };

/**
 * Chooses cards for a wish, all or nothing. Whole cards: the smallest that are big enough; shares: the fullest that have room, so
 * that whole cards stay free for those who need them. Between equals, the host's order.
 *
 * @returns `undefined` when there are not enough.
 */
export function placeOnCards(
  wish: GpuWish,
  rack: Rack,
  options: PlaceOptions,
): readonly string[] | undefined {
  if (wish.gpuCount === 0) return [];
  const fit = rack.cards.filter((card) => canTake(card, wish, rack, options));
  if (fit.length < wish.gpuCount) return undefined;
  const room = new Map(fit.map((card) => [card.id, roomOn(card, wish, rack, options)]));
  // The order of equals is kept: sorting is stable.
  fit.sort((a, b) => (room.get(a.id) ?? 0) - (room.get(b.id) ?? 0));
  return fit.slice(0, wish.gpuCount).map((card) => card.id);
}

/** Whether exactly these cards can be booked for a wish as things stand. */
export function canTakeAll(
  ids: readonly string[],
  wish: GpuWish,
  rack: Rack,
  options: PlaceOptions,
): boolean {
  if (ids.length !== wish.gpuCount || new Set(ids).size !== ids.length) return false;
  return ids.every((id) => rack.cards.some((card) => card.id === id && canTake(card, wish, rack, options)));
}

/** Cards that could serve a wish if nothing here held any: those that are not broken, too small or busy from outside. */
export function cardsInReach(wish: GpuWish, rack: Rack): number {
  return rack.cards.filter(
    (card) => isFit(card, wish) && (card.use !== "busy" || isBooked(rack.holds.get(card.id) ?? [])),
  ).length;
}

/** Cards that could ever serve a wish, busy ones included. */
export function cardsFor(wish: GpuWish, rack: Rack): number {
  return rack.cards.filter((card) => isFit(card, wish)).length;
}

/** The rack once these holders have left, as far as can be told before: what only they had on it settles. */
export function afterLeaving(rack: Rack, leaving: ReadonlySet<string>): Rack {
  if (leaving.size === 0) return rack;
  const holds = new Map<string, readonly CardHold[]>();
  const cards = rack.cards.map((card): Card => {
    const all = rack.holds.get(card.id) ?? [];
    const left = all.filter((hold) => !leaving.has(hold.holder));
    if (left.length > 0) holds.set(card.id, left);
    if (left.length === all.length) return card;
    const freeMemoryBytes = freeAfter(card, all, left);
    return isBooked(left) ? { ...card, freeMemoryBytes } : { ...card, freeMemoryBytes, use: "settling" };
  });
  return { ...rack, cards, holds };
}

/** The rack with what is promised on it as well. */
export function withClaims(
  rack: Rack,
  claims: readonly { readonly holder: string; readonly gpuIds: readonly string[]; readonly wish: GpuWish }[],
): Rack {
  if (claims.every(({ gpuIds }) => gpuIds.length === 0)) return rack;
  const holds = new Map(rack.holds);
  for (const { holder, gpuIds, wish } of claims) {
    const memoryBytes = bookedMemory(wish, rack);
    for (const id of gpuIds)
      holds.set(id, [...(holds.get(id) ?? []), { holder, memoryBytes, isClaim: true }]);
  }
  return { ...rack, holds };
}

/** What a wish books of each card: where cards are not shared, a wish for memory gets more than it asked for, never less. */
export function bookedMemory(wish: GpuWish, rack: Pick<Rack, "canShare">): number {
  return rack.canShare ? wish.gpuMemoryBytes : 0;
}

function isFit(card: Card, wish: GpuWish): boolean {
  return card.isHealthy && card.memoryBytes >= wish.gpuMemoryBytes;
}

function canTake(card: Card, wish: GpuWish, rack: Rack, { gone, when }: PlaceOptions): boolean {
  if (!isFit(card, wish)) return false;
  const all = rack.holds.get(card.id) ?? [];
  const left = gone.size === 0 ? all : all.filter((hold) => !gone.has(hold.holder));
  // With a holder of ours on it nobody can tell who keeps it busy.
  if (!isBooked(all) && !(card.use === "free" || (card.use === "settling" && when === "soon"))) return false;
  if (left.length === 0) return true;
  const wanted = bookedMemory(wish, rack);
  if (wanted === 0 || left.some((hold) => hold.memoryBytes === 0)) return false;
  return wanted <= card.memoryBytes - heldOn(left) && wanted <= freeAfter(card, all, left);
}

/** What is left of a card for a holder like this one: by booking for shares, the whole of it for whole cards. */
function roomOn(card: Card, wish: GpuWish, rack: Rack, { gone }: PlaceOptions): number {
  if (bookedMemory(wish, rack) === 0) return card.memoryBytes;
  const left = (rack.holds.get(card.id) ?? []).filter((hold) => !gone.has(hold.holder));
  return card.memoryBytes - heldOn(left);
}

function isBooked(holds: readonly CardHold[]): boolean {
  return holds.some((hold) => !hold.isClaim);
}

function heldOn(holds: readonly CardHold[]): number {
  return holds.reduce((sum, hold) => sum + hold.memoryBytes, 0);
}

/** Really free memory once some holders have gone, if they use all that they booked; all of it when nobody is left. */
function freeAfter(card: Card, all: readonly CardHold[], left: readonly CardHold[]): number {
  if (left.length === all.length) return card.freeMemoryBytes;
  if (!isBooked(left)) return card.memoryBytes;
  return Math.min(card.memoryBytes, card.freeMemoryBytes + heldOn(all) - heldOn(left));
}
