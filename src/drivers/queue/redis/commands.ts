import type { Log } from "../../../core/index.ts";
import { orAbort, Scope, sleep } from "../../../std/index.ts";
import type { Connection } from "./connection.ts";
import { failureOf, reasonOf } from "./failure.ts";
import { commandKeys } from "./names.ts";
import { listOf, textOf } from "./replies.ts";

/** How long one blocked pop waits at most; a change of the watched jobs ends it before. */
const BLOCK_MS = 1000;
/** How often one asks where blocking is not possible. */
const POLL_MS = 500;
const RETRY_MS = 250;
/** Changes of the watched jobs within this time end one pop together: where jobs are short there are many. */
const GATHER_MS = 25;
/** How long a message that nobody takes is kept: others push theirs without an end. */
const KEEP_S = 7 * 24 * 3600;

export interface CommandsOptions {
  /** For what does not block. */
  readonly connection: Connection;
  /** Opens the connection that blocks, at the first watch; absent in a cluster, where one pop reaches one slot. */
  readonly openBlocking: ((onId: (id: string) => void) => Connection) | undefined;
  readonly log: Log;
}

/** Hears the command lists of all watched jobs over one connection. */
export class Commands implements AsyncDisposable {
  readonly #options: CommandsOptions;
  readonly #scope = new Scope();
  readonly #watched = new Map<string, (message: string) => void>();
  /** Keys that are no lists: they would spoil the pop for everybody else. */
  readonly #unusable = new Set<string>();
  #blocking: Connection | undefined;
  #clientId: string | undefined;
  #isStarted = false;
  #wake: () => void = () => undefined;
  #gathering: NodeJS.Timeout | undefined;

  constructor(options: CommandsOptions) {
    this.#options = options;
  }

  watch(jobId: string, onCommand: (message: string) => void, signal: AbortSignal): void {
    if (signal.aborted || this.#scope.signal.aborted) return;
    for (const key of commandKeys(jobId)) this.#watched.set(key, onCommand);
    signal.addEventListener(
      "abort",
      () => {
        for (const key of commandKeys(jobId)) {
          if (this.#watched.get(key) === onCommand) this.#watched.delete(key);
          // What is no list is not ours to end.
          if (!this.#unusable.delete(key)) this.#limit(key);
        }
        this.#changed();
      },
      { once: true },
    );
    if (!this.#isStarted) {
      this.#isStarted = true;
      this.#blocking = this.#options.openBlocking?.((id) => {
        this.#clientId = id;
      });
      this.#scope.spawn(async (stop) => await this.#listen(stop));
    }
    this.#changed();
    // What was sent before is heard now, also while the blocked pop has not seen the change.
    for (const key of commandKeys(jobId)) {
      this.#popOnce(key).catch(() => undefined); // the blocked pop meets it too, and says so
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#scope.stop();
    this.#tellChange();
    clearTimeout(this.#gathering);
    await this.#blocking?.[Symbol.asyncDispose]();
    await this.#scope[Symbol.asyncDispose]();
  }

  /** A job that is new is asked about once by itself, and one that is over has nothing to hear: neither is in a hurry. */
  #changed(): void {
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      this.#tellChange();
    }, GATHER_MS);
  }

  /** Ends the pop that waits for the old set; where that is not allowed, it ends by itself. */
  #tellChange(): void {
    this.#wake();
    if (this.#clientId === undefined || this.#clientId === "") return;
    this.#options.connection.send(["CLIENT", "UNBLOCK", this.#clientId]).catch(() => undefined); // it ends by itself within BLOCK_MS
  }

  async #listen(stop: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await (this.#blocking ?? this.#options.connection).untilUp(stop);
        const keys = this.#usable();
        if (keys.length === 0) await this.#untilChanged(stop);
        else if (this.#blocking === undefined) await this.#poll(keys, stop);
        else await this.#pop(this.#blocking, keys);
      } catch (error) {
        if (stop.aborted) return;
        if (failureOf(error) === "stream") await this.#sortOut(this.#usable());
        await sleep(RETRY_MS, stop);
      }
      if (stop.aborted) return;
    }
  }

  #usable(): readonly string[] {
    return [...this.#watched.keys()].filter((key) => !this.#unusable.has(key));
  }

  async #pop(blocking: Connection, keys: readonly string[]): Promise<void> {
    const reply = await blocking.send(["BRPOP", ...keys, `${BLOCK_MS / 1000}`], { waitMs: BLOCK_MS });
    const [key, message] = listOf(reply);
    if (key === undefined) return;
    const onCommand = this.#watched.get(textOf(key));
    if (onCommand !== undefined) onCommand(textOf(message));
    // Its job has left this host while the pop waited, and may be another's now.
    else await this.#putBack(textOf(key), textOf(message));
  }

  async #putBack(key: string, message: string): Promise<void> {
    await this.#options.connection.send(["RPUSH", key, message], { key });
    this.#limit(key);
  }

  /** What is left in the list when this host has no more to do with it goes one day, whoever put it there. */
  #limit(key: string): void {
    if (this.#scope.signal.aborted) return;
    this.#options.connection.send(["EXPIRE", key, String(KEEP_S)], { key }).catch(() => undefined); // one list too many, then
  }

  async #poll(keys: readonly string[], stop: AbortSignal): Promise<void> {
    await Promise.all(keys.map(async (key) => await this.#popOnce(key)));
    await sleep(POLL_MS, stop);
  }

  async #popOnce(key: string): Promise<void> {
    const message = await this.#options.connection.send(["RPOP", key], { key });
    if (typeof message === "string") this.#watched.get(key)?.(message);
  }

  /** Finds the keys that cannot be popped from. */
  async #sortOut(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      try {
        await this.#options.connection.send(["LLEN", key], { key });
      } catch (error) {
        if (failureOf(error) !== "stream") return;
        this.#unusable.add(key);
        this.#options.log.log("warn", "queue.broken", { stream: key, reason: reasonOf(error) });
      }
    }
  }

  async #untilChanged(stop: AbortSignal): Promise<void> {
    const changed = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await orAbort(changed, stop);
  }
}
