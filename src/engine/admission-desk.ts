import type { Books, Clock, Demand, Holding, Resources, SandboxId, Settings } from "../core/index.ts";
import { admit, asId, fits, minus, NO_RESOURCES, plus } from "../core/index.ts";

/** The sandboxes as the desk sees them, and the two things it may do to them. */
export interface DeskSandboxes {
  /** Those that admission may count on: hot, retiring or frozen. */
  holdings(): readonly Holding[];
  /** What comes back without further doing: sandboxes that are being frozen or removed. */
  releasing(): Resources;
  /** @param forSandbox whom the room is for, if it is for one. */
  freeze(sandboxId: SandboxId, forSandbox?: SandboxId): void;
  evict(sandboxId: SandboxId, forSandbox?: SandboxId): void;
  /** These, and no others, take no new calls. */
  hold(sandboxIds: ReadonlySet<SandboxId>): void;
}

export interface Application {
  readonly demand: Demand;
  /** Books what the demand needs, all or nothing; called until it says `true`, and never again. */
  book(): boolean;
}

interface Entry extends Application {
  readonly granted: () => void;
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
        book: () => application.book(),
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
      if (!entry.book()) continue;
      this.#clearing = this.#clearing.filter((one) => one !== entry);
      entry.granted();
    }
    // A victim may have been saved or the limits lowered: what no longer adds up goes back to its place in the queue.
    while (this.#clearing.length > 0 && !fits(this.#promised(), this.#coming())) {
      const last = this.#clearing.pop();
      if (last !== undefined) this.#waiting.push(last);
    }
  }

  #admitOne(): boolean {
    const settings = this.#settings();
    const admission = admit(
      {
        demands: this.#waiting.map((entry) => entry.demand),
        free: minus(this.#coming(), this.#promised()),
        holdings: this.#sandboxes.holdings(),
        heldByDoor: (door) => this.#books.heldByDoor(door),
        nowMs: this.#clock.nowMs(),
      },
      { order: settings.evictionOrder, passOverMs: settings.passOverMs, shares: settings.shares },
    );
    if (admission.type !== "grant") {
      this.#hold(admission.type === "hold" ? admission.sandboxIds : []);
      return false;
    }
    const entry = this.#waiting.find((one) => one.demand === admission.demand);
    if (entry === undefined) return false;
    this.#waiting = this.#waiting.filter((one) => one !== entry);
    this.#clearing.push(entry);
    // A demand is named for the sandbox that it is made for.
    const forSandbox = asId<"sandbox">(entry.demand.id);
    for (const sandboxId of admission.room.freeze) this.#sandboxes.freeze(sandboxId, forSandbox);
    for (const sandboxId of admission.room.evict) this.#sandboxes.evict(sandboxId, forSandbox);
    return true;
  }

  /** What is free now, and what is on its way back. */
  #coming(): Resources {
    return plus(this.#books.free, this.#sandboxes.releasing());
  }

  #promised(): Resources {
    return this.#clearing.reduce((sum, entry) => plus(sum, entry.demand.need), NO_RESOURCES);
  }

  #hold(sandboxIds: readonly SandboxId[]): void {
    if (sandboxIds.length === 0 && !this.#isHolding) return;
    this.#isHolding = sandboxIds.length > 0;
    this.#sandboxes.hold(new Set(sandboxIds));
  }
}
