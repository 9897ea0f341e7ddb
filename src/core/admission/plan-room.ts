import type { PlaceOptions, Rack } from "../gpus/rack.ts";
import { placeOnCards, SOON } from "../gpus/rack.ts";
import type { SandboxId } from "../ids.ts";
import type { Amounts, Resources, TaskResources } from "../task/resources.ts";
import { fits } from "../task/resources.ts";

/** A live sandbox as admission sees it. */
export interface Holding {
  readonly sandboxId: SandboxId;
  /** What it has booked now: a frozen one holds no CPU. Which cards, the rack says. */
  readonly held: Resources;
  readonly isIdle: boolean;
  /** Whether freezing it would give its CPU back and keep it warm. */
  readonly canFreeze: boolean;
  /** When its last call ended. */
  readonly lastUsedMs: number;
  /** What a new start of it is expected to take. */
  readonly startCostMs: number;
}

/** What can be given out without anybody's loss. */
export interface Supply {
  /** What is not booked; negative in a dimension that is over-booked. */
  readonly free: Amounts;
  readonly rack: Rack;
}

/** What has to go so that a demand fits: frozen sandboxes give CPU, evicted ones everything. */
export interface Room {
  readonly freeze: readonly SandboxId[];
  readonly evict: readonly SandboxId[];
  /** The cards that the demand gets then. */
  readonly gpuIds: readonly string[];
}

export interface PlanRoomOptions {
  readonly order: "recency" | "cost";
  readonly nowMs: number;
  /** Never a victim: the sandbox that the room is for. */
  readonly keep: SandboxId | undefined;
}

/**
 * Finds the idle sandboxes whose loss lets `need` fit into the supply: just enough of them, the cheapest to lose first. Memory
 * and cards come back by eviction only; CPU comes back by freezing where that is possible. Victims that turn out not to be
 * needed once later ones are chosen are spared, the dearest first.
 *
 * @returns `undefined` when losing every idle sandbox would not be enough.
 */
export function planRoom(
  need: TaskResources,
  supply: Supply,
  holdings: readonly Holding[],
  options: PlanRoomOptions,
): Room | undefined {
  const at = new Balance(need, supply);
  if (at.isEnough()) return at.room([]);
  const idle = holdings.filter((holding) => holding.isIdle && holding.sandboxId !== options.keep);
  if (!isEverEnough(need, supply, idle)) return undefined;
  idle.sort(cheapestFirst(options));

  const evict: Victim[] = [];
  for (const holding of idle) {
    if (at.hasMemoryAndCards()) break;
    if (holding.held.memoryBytes <= 0 && holding.held.gpuCount === 0) continue;
    evict.push(at.lose({ holding, isEvicted: true }));
  }
  const evicted = spareDearest(evict, at, () => at.hasMemoryAndCards());

  const gone = new Set(evicted.map((one) => one.holding));
  const quiet: Victim[] = [];
  for (const holding of idle) {
    if (at.hasCpu()) break;
    if (gone.has(holding) || holding.held.cpuMillis <= 0) continue;
    quiet.push(at.lose({ holding, isEvicted: !holding.canFreeze }));
  }
  const quieted = spareDearest(quiet, at, () => at.hasCpu());
  return at.room(spareDearest([...evicted, ...quieted], at, () => at.isEnough()));
}

interface Victim {
  readonly holding: Holding;
  readonly isEvicted: boolean;
}

/** What would be free, as victims are chosen and spared: each step costs the same however many there are. */
class Balance {
  readonly #need: TaskResources;
  readonly #rack: Rack;
  readonly #gone = new Set<SandboxId>();
  readonly #place: PlaceOptions = { gone: this.#gone, when: "soon" };
  #cpuMillis: number;
  #memoryBytes: number;

  constructor(need: TaskResources, { free, rack }: Supply) {
    this.#need = need;
    this.#rack = rack;
    this.#cpuMillis = free.cpuMillis;
    this.#memoryBytes = free.memoryBytes;
  }

  hasCpu(): boolean {
    return this.#need.cpuMillis <= this.#cpuMillis;
  }

  hasMemoryAndCards(): boolean {
    return (
      this.#need.memoryBytes <= this.#memoryBytes &&
      placeOnCards(this.#need, this.#rack, this.#place) !== undefined
    );
  }

  isEnough(): boolean {
    return this.hasCpu() && this.hasMemoryAndCards();
  }

  lose(victim: Victim): Victim {
    this.#move(victim, 1);
    if (victim.isEvicted) this.#gone.add(victim.holding.sandboxId);
    return victim;
  }

  spare(victim: Victim): void {
    this.#move(victim, -1);
    this.#gone.delete(victim.holding.sandboxId);
  }

  room(victims: readonly Victim[]): Room {
    return {
      freeze: victims.filter((one) => !one.isEvicted).map((one) => one.holding.sandboxId),
      evict: victims.filter((one) => one.isEvicted).map((one) => one.holding.sandboxId),
      gpuIds: placeOnCards(this.#need, this.#rack, this.#place) ?? [],
    };
  }

  #move({ holding: { held }, isEvicted }: Victim, sign: 1 | -1): void {
    this.#cpuMillis += sign * held.cpuMillis;
    if (isEvicted) this.#memoryBytes += sign * held.memoryBytes;
  }
}

/** Whether losing every idle sandbox would do. */
function isEverEnough(need: TaskResources, { free, rack }: Supply, idle: readonly Holding[]): boolean {
  let { cpuMillis, memoryBytes } = free;
  for (const { held } of idle) {
    cpuMillis += held.cpuMillis;
    memoryBytes += held.memoryBytes;
  }
  if (!fits(need, { cpuMillis, memoryBytes })) return false;
  const gone = new Set<string>(idle.map((holding) => holding.sandboxId));
  return placeOnCards(need, rack, { ...SOON, gone }) !== undefined;
}

/** Spares, from the end on, whoever is not needed. */
function spareDearest(victims: readonly Victim[], at: Balance, isEnough: () => boolean): readonly Victim[] {
  const spared = new Set<Victim>();
  for (const dearest of [...victims].reverse()) {
    at.spare(dearest);
    if (isEnough()) spared.add(dearest);
    else at.lose(dearest);
  }
  return spared.size === 0 ? victims : victims.filter((one) => !spared.has(one));
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
