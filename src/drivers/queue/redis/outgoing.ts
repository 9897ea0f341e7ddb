import { setMaxListeners } from "node:events";
import { backoffMs, orAbort, sleep } from "../../../std/index.ts";
import type { Connection } from "./connection.ts";
import { failureOf, reasonOf, unavailable } from "./failure.ts";

const PAUSE = { firstMs: 100, maxMs: 5000 };

export interface OutgoingOptions {
  readonly connection: Connection;
  readonly max: number;
  readonly flushMs: number;
  /** Somebody has to repair something before what waits can go. */
  readonly onBroken: (reason: string) => void;
  /** Something went through, after nothing could. */
  readonly onRepaired: () => void;
}

/**
 * What must reach Redis however long it takes: in each lane one after the other, each tried until it was answered. Lanes are
 * independent of each other; what begins in one turn of the event loop goes out in one write.
 */
export class Outgoing {
  readonly #options: OutgoingOptions;
  readonly #lanes = new Map<string, Promise<unknown>>();
  readonly #stop = new AbortController();
  #waiting = 0;
  #pending = 0;

  constructor(options: OutgoingOptions) {
    this.#options = options;
    setMaxListeners(0, this.#stop.signal); // one for each report on its way
  }

  /** How many wait for the connection to come back, or for another try. */
  get waiting(): number {
    return this.#options.connection.state.type === "up" ? this.#waiting : this.#pending;
  }

  /**
   * @param work one try; it must be safe to repeat, since the answer of one that was carried out may be lost.
   * @throws QUEUE_UNAVAILABLE when too many wait already, or when it was closed before it could be sent.
   */
  async run<T>(lane: string, work: () => Promise<T>): Promise<T> {
    if (this.#stop.signal.aborted) throw unavailable("closed");
    if (this.#pending >= this.#options.max) throw unavailable("too many reports wait for the queue already");
    const before = this.#lanes.get(lane);
    const own = before === undefined ? this.#try(work) : before.then(async () => await this.#try(work));
    const ended = own.then(
      () => undefined,
      () => undefined, // whoever asked for it hears of it; the next in the lane goes on
    );
    this.#lanes.set(lane, ended);
    this.#pending += 1;
    try {
      return await own;
    } finally {
      this.#pending -= 1;
      if (this.#lanes.get(lane) === ended) this.#lanes.delete(lane);
    }
  }

  /** Gives what waits a last moment, then refuses it. */
  async close(): Promise<void> {
    const all = Promise.all(this.#lanes.values());
    const pause = new AbortController();
    await Promise.race([all, sleep(this.#options.flushMs, pause.signal).catch(() => undefined)]);
    pause.abort();
    this.#stop.abort(unavailable("closed before it could be said"));
    await Promise.all(this.#lanes.values());
  }

  async #try<T>(work: () => Promise<T>): Promise<T> {
    for (let failures = 0; ; ) {
      this.#stop.signal.throwIfAborted();
      if (this.#options.connection.state.type === "up") {
        try {
          const done = await orAbort(work(), this.#stop.signal);
          if (failures > 0) this.#options.onRepaired();
          return done;
        } catch (error) {
          this.#judge(error);
          failures += 1;
        }
      }
      await this.#pause(failures);
    }
  }

  /** @throws what no further try can cure. */
  #judge(error: unknown): void {
    if (this.#stop.signal.aborted) throw error;
    const type = failureOf(error);
    if (type === "defect") throw unavailable(reasonOf(error), error);
    if (type === "stream" || type === "settings") this.#options.onBroken(reasonOf(error));
  }

  async #pause(failures: number): Promise<void> {
    this.#waiting += 1;
    try {
      const isUp = this.#options.connection.state.type === "up";
      if (isUp) await sleep(backoffMs(PAUSE, failures, Math.random()), this.#stop.signal);
      else await this.#options.connection.untilUp(this.#stop.signal);
    } finally {
      this.#waiting -= 1;
    }
  }
}
