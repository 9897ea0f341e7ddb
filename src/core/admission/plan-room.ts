import type { SandboxId } from "../ids.ts";
import type { Resources } from "../task/resources.ts";
import { fits, NO_RESOURCES, plus } from "../task/resources.ts";

/** A live sandbox as admission sees it. */
export interface Holding {
  readonly sandboxId: SandboxId;
  /** What it has booked now: a frozen one holds no CPU. */
  readonly held: Resources;
  readonly isIdle: boolean;
  /** Whether freezing it would give its CPU back and keep it warm. */
  readonly canFreeze: boolean;
  /** When its last call ended. */
  readonly lastUsedMs: number;
  /** What a new start of it is expected to take. */
  readonly startCostMs: number;
}

/** What has to go so that a demand fits: frozen sandboxes give CPU, evicted ones everything. */
export interface Room {
  readonly freeze: readonly SandboxId[];
  readonly evict: readonly SandboxId[];
}

export interface PlanRoomOptions {
  readonly order: "recency" | "cost";
  readonly nowMs: number;
  /** Never a victim: the sandbox that the room is for. */
  readonly keep: SandboxId | undefined;
}

export const NO_ROOM_NEEDED: Room = { freeze: [], evict: [] };

/**
 * Finds the idle sandboxes whose loss lets `need` fit into `free`: just enough of them, the cheapest to lose first. Memory and
 * GPUs come back by eviction only; CPU comes back by freezing where that is possible. Victims that turn out not to be needed
 * once later ones are chosen are spared, the dearest first.
 *
 * @param free what is not booked; negative in a dimension that is over-booked.
 * @returns `undefined` when losing every idle sandbox would not be enough.
 */
export function planRoom(
  need: Resources,
  free: Resources,
  holdings: readonly Holding[],
  options: PlanRoomOptions,
): Room | undefined {
  if (fits(need, free)) return NO_ROOM_NEEDED;
  const idle = holdings.filter((holding) => holding.isIdle && holding.sandboxId !== options.keep);
  idle.sort(cheapestFirst(options));

  const isEnoughMemory = (gone: readonly Holding[]): boolean =>
    fits({ ...need, cpuMillis: Number.NEGATIVE_INFINITY }, plus(free, sum(gone)));
  const evict = justEnough(
    idle.filter((holding) => holding.held.memoryBytes > 0 || holding.held.gpuCount > 0),
    isEnoughMemory,
  );
  if (evict === undefined) return undefined;

  const evicted = new Set(evict);
  const freed = plus(free, sum(evict));
  const isEnoughCpu = (quiet: readonly Holding[]): boolean =>
    need.cpuMillis <= freed.cpuMillis + sum(quiet).cpuMillis;
  const quiet = justEnough(
    idle.filter((holding) => !evicted.has(holding) && holding.held.cpuMillis > 0),
    isEnoughCpu,
  );
  if (quiet === undefined) return undefined;

  const victims: Victim[] = [
    ...evict.map((holding) => ({ holding, isEvicted: true })),
    ...quiet.map((holding) => ({ holding, isEvicted: !holding.canFreeze })),
  ];
  const needed = spareDearest(victims, (left) => fits(need, plus(free, sum(left.map(whatComesBack)))));
  return {
    freeze: needed.filter((one) => !one.isEvicted).map((one) => one.holding.sandboxId),
    evict: needed.filter((one) => one.isEvicted).map((one) => one.holding.sandboxId),
  };
}

interface Victim {
  readonly holding: Holding;
  readonly isEvicted: boolean;
}

function whatComesBack({ holding, isEvicted }: Victim): { readonly held: Resources } {
  return isEvicted ? holding : { held: { ...NO_RESOURCES, cpuMillis: holding.held.cpuMillis } };
}

/** The shortest prefix that is enough, without those of its members that are not needed in it. */
function justEnough(
  candidates: readonly Holding[],
  isEnough: (chosen: readonly Holding[]) => boolean,
): Holding[] | undefined {
  const chosen: Holding[] = [];
  for (const candidate of candidates) {
    if (isEnough(chosen)) break;
    chosen.push(candidate);
  }
  return isEnough(chosen) ? spareDearest(chosen, isEnough) : undefined;
}

/** Drops, from the end on, whatever is not needed. */
function spareDearest<T>(victims: readonly T[], isEnough: (left: readonly T[]) => boolean): T[] {
  let left = [...victims];
  for (const dearest of [...victims].reverse()) {
    const without = left.filter((one) => one !== dearest);
    if (isEnough(without)) left = without;
  }
  return left;
}

function cheapestFirst(options: PlanRoomOptions): (a: Holding, b: Holding) => number {
  const byRecency = (a: Holding, b: Holding): number => a.lastUsedMs - b.lastUsedMs;
  if (options.order === "recency") return byRecency;
  return (a, b) => lossOf(a, options.nowMs) - lossOf(b, options.nowMs) || byRecency(a, b);
}

/** Milliseconds of start saved per byte and per millisecond unused: small means cheap to lose. */
function lossOf(holding: Holding, nowMs: number): number {
  const ageMs = Math.max(1, nowMs - holding.lastUsedMs);
  return holding.startCostMs / (Math.max(1, holding.held.memoryBytes) * ageMs);
}

function sum(holdings: readonly { readonly held: Resources }[]): Resources {
  return holdings.reduce((total, holding) => plus(total, holding.held), NO_RESOURCES);
}
