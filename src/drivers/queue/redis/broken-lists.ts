import type { Clock, Log } from "../../../core/index.ts";
import type { Connection } from "./connection.ts";
import { failureOf, reasonOf } from "./failure.ts";

/** How often they are looked at again: the repair needs no word to us. */
const RETRY_MS = 5000;

export interface BrokenListsOptions {
  readonly connection: Pick<Connection, "send">;
  readonly log: Log;
  readonly clock: Clock;
  /** Whether somebody listens at this key. */
  readonly isWatched: (key: string) => boolean;
}

/** Watched keys that are no lists, or that we may not pop from, until somebody repairs them: they would spoil the pop for everybody else. */
export class BrokenLists {
  readonly #options: BrokenListsOptions;
  readonly #broken = new Set<string>();
  #nextLookMs = 0;

  constructor(options: BrokenListsOptions) {
    this.#options = options;
  }

  has(key: string): boolean {
    return this.#broken.has(key);
  }

  /** Nobody listens there any more. */
  forget(key: string): void {
    this.#broken.delete(key);
  }

  /** When they are to be looked at again; never while there are none. */
  get dueInMs(): number | undefined {
    if (this.#broken.size === 0) return undefined;
    return Math.max(0, this.#nextLookMs - this.#options.clock.nowMs());
  }

  /** Finds those among the keys that cannot be popped from, and tells each once until it is repaired. Never rejects. */
  async sortOut(keys: readonly string[]): Promise<void> {
    const { log, clock, isWatched } = this.#options;
    for (const key of keys) {
      const found = await this.#look(key);
      if (found.type === "unknown") return;
      // Its job may have ended meanwhile: then nobody would forget it.
      if (found.type === "well" || !isWatched(key)) continue;
      if (this.#broken.size === 0) this.#nextLookMs = clock.nowMs() + RETRY_MS;
      this.#broken.add(key);
      log.log("warn", "queue.broken", { stream: key, reason: found.reason });
    }
  }

  /** If it is time to, looks at all of them, and lets those go that are lists by now, or are gone. Never rejects. */
  async lookAgain(): Promise<void> {
    if (this.dueInMs !== 0) return;
    const { log, clock } = this.#options;
    await Promise.all(
      [...this.#broken].map(async (key) => {
        const { type } = await this.#look(key);
        if (type === "well" && this.#broken.delete(key)) log.log("info", "queue.repaired", { stream: key });
      }),
    );
    this.#nextLookMs = clock.nowMs() + RETRY_MS;
  }

  async #look(key: string): Promise<Look> {
    const { connection } = this.#options;
    try {
      await connection.send(["LLEN", key], { key });
      // Takes nothing, and asks for the rights of a pop: a user may read what it may not write. Redis 6.2 did not always look at the type.
      await connection.send(["RPOP", key, "0"], { key });
      return { type: "well" };
    } catch (error) {
      return failureOf(error) === "stream"
        ? { type: "broken", reason: reasonOf(error) }
        : { type: "unknown" };
    }
  }
}

/** Unknown: Redis does not answer now, and whoever looks next may know. */
type Look =
  | { readonly type: "well" }
  | { readonly type: "unknown" }
  | { readonly type: "broken"; readonly reason: string };
