/** How exact the wheel is, in milliseconds. */
const TICK_MS = 100;
const SLOTS = 512;

/** One deadline that may be set, moved and cleared any number of times. */
export interface WheelTimer {
  /** Fires once, no earlier than `delayMs` from now and normally within 200 ms after that. Replaces an earlier setting. */
  set(delayMs: number): void;
  /** Safe at any time, also while it is not set and while other timers fire. */
  clear(): void;
}

/**
 * Many coarse deadlines on one timer of the platform. Setting and clearing cost a few pointers, so the hot path may do both
 * for each request. Sleeps until the next slot that holds something; never keeps the process alive by itself.
 */
export class TimerWheel {
  readonly #slots: readonly Link[] = Array.from({ length: SLOTS }, () => new Link());
  readonly #nowMs: () => number;
  #doneTick: number;
  #armed: { readonly tick: number; readonly timeout: NodeJS.Timeout } | undefined;
  #size = 0;
  #isTurning = false;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
    this.#doneTick = this.#tickNow();
  }

  /** Timers that are set now. */
  get size(): number {
    return this.#size;
  }

  /** Makes a timer, not yet set. `fire` must not throw; what it throws becomes an uncaught exception. */
  timer(fire: () => void): WheelTimer {
    const link = new Link(fire);
    return {
      set: (delayMs) => {
        this.#unlink(link);
        link.dueTick = Math.ceil((this.#nowMs() + delayMs) / TICK_MS);
        this.#link(link);
      },
      clear: () => {
        this.#unlink(link);
      },
    };
  }

  /** Sets a timer that is used once; the returned function clears it. */
  after(delayMs: number, fire: () => void): () => void {
    const timer = this.timer(fire);
    timer.set(delayMs);
    return () => {
      timer.clear();
    };
  }

  #tickNow(): number {
    return Math.floor(this.#nowMs() / TICK_MS);
  }

  #link(link: Link): void {
    // A slot that has been passed already comes round only after a whole turn.
    if (link.dueTick <= this.#doneTick) link.dueTick = this.#doneTick + 1;
    (this.#slots[link.dueTick % SLOTS] as Link).append(link);
    this.#size += 1;
    if (!this.#isTurning && (this.#armed === undefined || this.#armed.tick > link.dueTick))
      this.#arm(link.dueTick);
  }

  #unlink(link: Link): void {
    if (link.remove()) this.#size -= 1;
  }

  #arm(tick: number): void {
    if (this.#armed !== undefined) clearTimeout(this.#armed.timeout);
    const timeout = setTimeout(
      () => {
        this.#turn();
      },
      Math.max(1, tick * TICK_MS - this.#nowMs()),
    );
    timeout.unref();
    this.#armed = { tick, timeout };
  }

  #turn(): void {
    this.#armed = undefined;
    this.#isTurning = true;
    const now = this.#tickNow();
    // After a long stall one whole turn visits everything that is due.
    for (let tick = Math.max(this.#doneTick + 1, now - SLOTS + 1); tick <= now; tick += 1) {
      // What is set meanwhile goes to a slot that is still to come.
      this.#doneTick = tick;
      this.#visit(this.#slots[tick % SLOTS] as Link, now);
    }
    this.#isTurning = false;
    if (this.#size > 0) this.#arm(this.#nextTick());
  }

  #visit(slot: Link, now: number): void {
    const due: Link[] = [];
    for (let link = slot.next; link !== slot; link = link.next) if (link.dueTick <= now) due.push(link);
    for (const link of due) {
      // An earlier one of this slot may have cleared it or set it anew.
      if (!link.isLinked || link.dueTick > now) continue;
      this.#unlink(link);
      try {
        link.fire();
      } catch (error) {
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }

  #nextTick(): number {
    for (let tick = this.#doneTick + 1; tick < this.#doneTick + SLOTS; tick += 1) {
      const slot = this.#slots[tick % SLOTS] as Link;
      if (slot.next !== slot) return tick;
    }
    return this.#doneTick + SLOTS;
  }
}

/** A place in a ring: a timer, or a slot's own head. */
class Link {
  dueTick = 0;
  next: Link = this;
  previous: Link = this;
  readonly fire: () => void;

  constructor(fire: () => void = () => undefined) {
    this.fire = fire;
  }

  get isLinked(): boolean {
    return this.next !== this;
  }

  append(link: Link): void {
    link.previous = this.previous;
    link.next = this;
    this.previous.next = link;
    this.previous = link;
  }

  remove(): boolean {
    if (this.next === this) return false;
    this.previous.next = this.next;
    this.next.previous = this.previous;
    this.next = this;
    this.previous = this;
    return true;
  }
}
