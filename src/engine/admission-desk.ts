import type {
  Admission,
  Amounts,
  Books,
  Clock,
  Demand,
  DoorName,
  Holding,
  Rack,
  Room,
  SandboxId,
  Settings,
  Supply,
} from "../core/index.ts";
import {
  admit,
  afterLeaving,
  asId,
  fits,
  minus,
  NO_RESOURCES,
  NOW,
  placeOnCards,
  plus,
  SOON,
  withClaims,
} from "../core/index.ts";

/** The sandboxes as the desk sees them, and the two things it may do to them. */
export interface DeskSandboxes {
  /** Those that admission may count on: hot, retiring or frozen. */
  holdings(): readonly Holding[];
  /** Jobs that hold room and are not being removed. */
  jobs(): readonly Holding[];
  /** What comes back without further doing: sandboxes that are being frozen or removed. */
  releasing(): Amounts;
  /** Those of them that are being removed: their cards come back as well. */
  leaving(): ReadonlySet<SandboxId>;
  /** @param forSandbox whom the room is for, if it is for one. */
  freeze(sandboxId: SandboxId, forSandbox?: SandboxId): void;
  evict(sandboxId: SandboxId, forSandbox?: SandboxId): void;
  /** These, and no others, take no new calls. */
  hold(sandboxIds: ReadonlySet<SandboxId>): void;
}

export interface Application {
  readonly demand: Demand;
  /** Books what the demand needs, on these cards, all or nothing; called until it says `true`, and never again. */
  book(gpuIds: readonly string[]): boolean;
}

/** What would become of a demand. */
export type Foresight =
  | { readonly type: "grant"; readonly room: Room }
  /** Behind that many others; `supply` is what there is for all of them. */
  | { readonly type: "wait"; readonly ahead: number; readonly supply: Supply };

interface Entry extends Application {
  readonly granted: () => void;
  /** The cards that it was promised while its room is being made. */
  gpuIds: readonly string[];
}

/**
 * Where demands for room wait. It carries out what `admit` decides: makes room, books, and wakes whoever waits. A demand whose
 * room is being made keeps its claim to it: others are only let past if what they take is not part of that claim.
 */
export class AdmissionDesk {
  readonly #books: Books;
  readonly #clock: Clock;
  readonly #sandboxes: DeskSandboxes;
  readonly #settings: () => Settings;
  #waiting: Entry[] = [];
  /** Granted in principle: their victims are on the way out. */
  #clearing: Entry[] = [];
  #isPumping = false;
  #isStale = false;
  #isHolding = false;

  constructor(books: Books, clock: Clock, sandboxes: DeskSandboxes, settings: () => Settings) {
    this.#books = books;
    this.#clock = clock;
    this.#sandboxes = sandboxes;
    this.#settings = settings;
  }

  get hasDemands(): boolean {
    return this.#waiting.length > 0 || this.#clearing.length > 0;
  }

  /** Resolves once the demand is booked; rejects with the signal's reason, and then it never will be. */
  apply(application: Application, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = (): void => {
        this.#waiting = this.#waiting.filter((one) => one !== entry);
        this.#clearing = this.#clearing.filter((one) => one !== entry);
        reject(signal.reason);
        this.pump();
      };
      const entry: Entry = {
        demand: application.demand,
        gpuIds: [],
        book: (gpuIds) => application.book(gpuIds),
        granted: () => {
          signal.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(entry);
      this.pump();
    });
  }

  /** Looks again: something became free, idle, or late. Cheap when nobody waits. */
  pump(): void {
    if (!this.hasDemands) {
      this.#hold([]);
      return;
    }
    if (this.#isPumping) {
      this.#isStale = true;
      return;
    }
    this.#isPumping = true;
    try {
      this.#isStale = true;
      while (this.#takeStale()) {
        this.#bookClearing();
        while (this.#admitOne()) this.#bookClearing();
      }
    } finally {
      this.#isPumping = false;
    }
  }

  #takeStale(): boolean {
    const isStale = this.#isStale;
    this.#isStale = false;
    return isStale;
  }

  #bookClearing(): void {
    for (const entry of [...this.#clearing]) {
      // Any cards will do that nobody else was promised; its own ones may take longer to come free than others.
      const gpuIds = placeOnCards(entry.demand.need, this.#rackBut(entry, this.#books.rack), NOW);
      if (gpuIds === undefined || !entry.book(gpuIds)) continue;
      this.#clearing = this.#clearing.filter((one) => one !== entry);
      entry.granted();
    }
    // A victim may have been saved, the limits lowered or a card lost: what no longer adds up goes back to its place in the queue.
    while (this.#clearing.length > 0 && !fits(this.#promised(), this.#coming())) {
      const last = this.#clearing.pop();
      if (last !== undefined) this.#putBack(last);
    }
    const rack = this.#rackToCome();
    for (const entry of [...this.#clearing]) {
      const gpuIds = placeOnCards(entry.demand.need, this.#rackBut(entry, rack), SOON);
      if (gpuIds === undefined) this.#putBack(entry);
      else entry.gpuIds = gpuIds;
    }
  }

  #putBack(entry: Entry): void {
    this.#clearing = this.#clearing.filter((one) => one !== entry);
    entry.gpuIds = [];
    this.#waiting.push(entry);
  }

  /** Whether this demand has been granted, and waits only for its room to be made. */
  isMakingRoomFor(id: Demand["id"]): boolean {
    return this.#clearing.some(({ demand }) => demand.id === id);
  }

  /** What would become of one more demand now; nothing is changed by asking. */
  foresee(demand: Demand): Foresight {
    const waiting = this.#waiting.map((entry) => entry.demand);
    const admission = this.#admit([...waiting, demand]);
    if (admission.type === "grant" && admission.demand === demand) {
      return { type: "grant", room: admission.room };
    }
    return { type: "wait", ahead: waiting.length, supply: this.#supply() };
  }

  #admit(demands: readonly Demand[]): Admission {
    const { evictionOrder, passOverMs, shares } = this.#settings();
    const view = {
      demands,
      capacity: this.#books.capacity,
      ...this.#supply(),
      holdings: this.#sandboxes.holdings(),
      jobs: this.#sandboxes.jobs(),
      heldByDoor: (door: DoorName) => this.#books.heldByDoor(door),
      nowMs: this.#clock.nowMs(),
    };
    return admit(view, { order: evictionOrder, passOverMs, shares });
  }

  /** What can be given out once everybody on the way out has gone, less what is promised already. */
  #supply(): Supply {
    return {
      free: minus(this.#coming(), this.#promised()),
      rack: this.#rackBut(undefined, this.#rackToCome()),
    };
  }

  #admitOne(): boolean {
    const admission = this.#admit(this.#waiting.map((entry) => entry.demand));
    if (admission.type !== "grant") {
      this.#hold(admission.type === "hold" ? admission.sandboxIds : []);
      return false;
    }
    const entry = this.#waiting.find((one) => one.demand === admission.demand);
    if (entry === undefined) return false;
    this.#waiting = this.#waiting.filter((one) => one !== entry);
    this.#clearing.push(entry);
    entry.gpuIds = admission.room.gpuIds;
    // A demand is named for the sandbox that it is made for.
    const forSandbox = asId<"sandbox">(entry.demand.id);
    for (const sandboxId of admission.room.freeze) this.#sandboxes.freeze(sandboxId, forSandbox);
    for (const sandboxId of admission.room.evict) this.#sandboxes.evict(sandboxId, forSandbox);
    return true;
  }

  /** What is free now, and what is on its way back. */
  #coming(): Amounts {
    return plus(this.#books.free, this.#sandboxes.releasing());
  }

  #promised(): Amounts {
    return this.#clearing.reduce<Amounts>((sum, entry) => plus(sum, entry.demand.need), NO_RESOURCES);
  }

  /** The cards once those who leave have left. */
  #rackToCome(): Rack {
    return afterLeaving(this.#books.rack, this.#sandboxes.leaving());
  }

  /** A rack with what everybody else was promised on it, so that no card is promised twice. */
  #rackBut(entry: Entry | undefined, rack: Rack): Rack {
    const others = this.#clearing.filter((one) => one !== entry && one.gpuIds.length > 0);
    return withClaims(
      rack,
      others.map((one) => ({ holder: one.demand.id, gpuIds: one.gpuIds, wish: one.demand.need })),
    );
  }

  #hold(sandboxIds: readonly SandboxId[]): void {
    if (sandboxIds.length === 0 && !this.#isHolding) return;
    this.#isHolding = sandboxIds.length > 0;
    this.#sandboxes.hold(new Set(sandboxIds));
  }
}
