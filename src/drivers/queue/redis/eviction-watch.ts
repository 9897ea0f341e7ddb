import { ErrorReply } from "@redis/client";
import { orAbort, Scope, sleep } from "../../../std/index.ts";
import type { Base } from "./base.ts";
import { evaluate, script } from "./evaluate.ts";
import { failureOf } from "./failure.ts";
import { textOf } from "./replies.ts";
import { evictionIn } from "./server-remarks.ts";
import type { StreamHealth } from "./stream-health.ts";

/** How soon a server is looked at again: one that evicts keys, and one that keeps them, whose policy may be changed under way. */
const AGAIN_MS = 5000;
const WELL_MS = 60_000;
/** How often it is asked whether it is time to look. */
const BEAT_MS = 500;
/** What is ill then: it is the server's trouble. No stream has this name, so that none that can be read heals it. */
const ALL = "all streams";
/** The node of a cluster that has a key is reached by the key alone, which INFO has none of. */
const MEMORY = script("return redis.call('INFO', 'memory')");

/**
 * Whether the server may evict keys, and with them who holds what. While it may, and that is not allowed, the source is broken and
 * nothing new is claimed; the repair needs no word to us. A server that does not let us look is taken for one that keeps everything.
 */
export class EvictionWatch implements AsyncDisposable {
  readonly #base: Base;
  readonly #health: StreamHealth;
  readonly #scope = new Scope();
  #eviction: string | undefined;
  #looking: Promise<void> | undefined;
  #lookedIn = 0;
  #dueAtMs = Number.NEGATIVE_INFINITY;

  constructor(base: Base, health: StreamHealth) {
    this.#base = base;
    this.#health = health;
    // Also while nothing is claimed: a host that is paused or full is not to be called ill for longer than it is.
    if (!base.limits.allowsEviction) this.#scope.spawn(async (signal) => await this.#keepLooking(signal));
  }

  /** Looks first where that is due, as it is after each new connection. Where it cannot look, what it knew stands. */
  async mayClaim(): Promise<boolean> {
    const { limits, connection, clock } = this.#base;
    if (limits.allowsEviction) return true;
    if (this.#lookedIn !== connection.epoch || clock.nowMs() >= this.#dueAtMs) {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined;
      });
      await this.#looking;
    }
    return this.#eviction === undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope[Symbol.asyncDispose]();
  }

  async #keepLooking(signal: AbortSignal): Promise<void> {
    const { connection } = this.#base;
    for (;;) {
      await connection.untilUp(signal);
      // Whoever closes us does not wait for an answer.
      await orAbort(this.mayClaim(), signal).catch(() => undefined);
      await sleep(BEAT_MS, signal);
    }
  }

  async #look(): Promise<void> {
    const { connection, clock } = this.#base;
    const epoch = connection.epoch;
    const found = await this.#find().catch(() => this.#eviction);
    if (found === undefined) this.#health.worked(ALL);
    else this.#health.fell(ALL, found);
    this.#eviction = found;
    this.#lookedIn = epoch;
    this.#dueAtMs = clock.nowMs() + (found === undefined ? WELL_MS : AGAIN_MS);
  }

  /** In a cluster each node has a policy of its own. */
  async #find(): Promise<string | undefined> {
    const { connection, isCluster, limits, options } = this.#base;
    const keys = isCluster ? [...options.streams, limits.events] : options.streams.slice(0, 1);
    for (const key of keys) {
      const asked = isCluster
        ? evaluate(connection, MEMORY, [key], [])
        : connection.send(["INFO", "memory"], { key });
      const info = await asked.catch((error: unknown) => {
        // A user may not be allowed to ask.
        if (error instanceof ErrorReply && failureOf(error) !== "retry") return "";
        throw error;
      });
      const found = evictionIn(textOf(info));
      if (found !== undefined) return found;
    }
    return undefined;
  }
}
