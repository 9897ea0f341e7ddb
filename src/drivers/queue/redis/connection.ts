import type { Clock } from "../../../core/index.ts";
import { backoffMs, orAbort, Scope, sleep } from "../../../std/index.ts";
import { failureOf, reasonOf, unavailable } from "./failure.ts";
import { findPrimary } from "./find-primary.ts";
import type { Client } from "./open-client.ts";
import { accessOf, openClient, openClusterClient } from "./open-client.ts";
import type { RedisSettings, RedisTimes } from "./settings.ts";

export type ConnectionState =
  | { readonly type: "up" }
  | { readonly type: "away"; readonly reason: string; readonly sinceMs: number };

/**
 * One connection that comes back by itself. What was sent and not answered when it broke is rejected: whether the server has done
 * it is not known, and who sent it decides. Nothing is queued while it is away.
 */
export interface Connection extends AsyncDisposable {
  readonly state: ConnectionState;
  /** Counts the times it came up; an answer belongs to the epoch that it was asked in. */
  readonly epoch: number;
  /**
   * @param how `waitMs`: what the command itself may wait for, if it blocks; `key`: one that it touches, for a cluster.
   * @throws QUEUE_UNAVAILABLE while it is away; an `ErrorReply`; whatever broke the connection.
   */
  send(args: readonly string[], how?: SendHow): Promise<unknown>;
  /** Gives the connection up, as one that has gone silent; it is opened anew. */
  cut(reason: string): void;
  /** Called with each state it goes into. */
  onState(listener: (state: ConnectionState) => void): void;
  /** @throws the signal's reason. */
  untilUp(signal: AbortSignal): Promise<void>;
}

export interface SendHow {
  readonly waitMs?: number;
  readonly key?: string;
}

export interface ConnectionOptions {
  readonly settings: RedisSettings;
  readonly times: RedisTimes;
  readonly clock: Clock;
  /** Runs on each new connection before it counts as up; a failure counts as one of the connection. */
  readonly greet?: (send: (args: readonly string[]) => Promise<unknown>) => Promise<void>;
}

/** Returns at once, and connects in the background for as long as it lives. */
export function openConnection(options: ConnectionOptions): Connection {
  return new LiveConnection(options);
}

class LiveConnection implements Connection {
  readonly #options: ConnectionOptions;
  readonly #scope = new Scope();
  readonly #listeners: ((state: ConnectionState) => void)[] = [];
  #state: ConnectionState;
  #epoch = 0;
  #client: Client | undefined;
  #inFlight = 0;
  #movedAtMs: number;
  #patienceMs: number;
  #giveUp: (reason: unknown) => void = () => undefined;
  #rise: Promise<void> = Promise.resolve();
  #onRise: () => void = () => undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#movedAtMs = options.clock.nowMs();
    this.#patienceMs = options.times.commandMs;
    this.#state = { type: "away", reason: "not connected yet", sinceMs: options.clock.wallMs() };
    this.#awaitRise();
    this.#scope.spawn(async (signal) => await this.#live(signal));
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get epoch(): number {
    return this.#epoch;
  }

  async send(args: readonly string[], how: SendHow = {}): Promise<unknown> {
    const client = this.#client;
    if (client === undefined || this.#state.type !== "up") {
      throw unavailable(this.#state.type === "away" ? this.#state.reason : "not connected");
    }
    return await this.#sendOn(client, args, how);
  }

  cut(reason: string): void {
    this.#giveUp(new Error(reason));
  }

  onState(listener: (state: ConnectionState) => void): void {
    this.#listeners.push(listener);
  }

  async untilUp(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.#state.type !== "up") await orAbort(this.#rise, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#scope.stop(new Error("the connection is closed"));
    this.#giveUp(new Error("the connection is closed"));
    await this.#scope[Symbol.asyncDispose]();
  }

  async #sendOn(client: Client, args: readonly string[], { waitMs = 0, key }: SendHow): Promise<unknown> {
    const { times, clock } = this.#options;
    if (this.#inFlight === 0) this.#movedAtMs = clock.nowMs();
    this.#inFlight += 1;
    this.#patienceMs = waitMs === 0 ? times.commandMs : waitMs + times.blockGraceMs;
    try {
      return await client.send(args, key);
    } catch (error) {
      if (failureOf(error) === "reconnect") this.#giveUp(error);
      throw error;
    } finally {
      this.#inFlight -= 1;
      this.#movedAtMs = clock.nowMs();
    }
  }

  async #live(signal: AbortSignal): Promise<void> {
    for (let failures = 0; ; ) {
      const startedAtMs = this.#options.clock.nowMs();
      const reason = await this.#once(signal);
      if (signal.aborted) return;
      this.#move({ type: "away", reason: reasonOf(reason), sinceMs: this.#options.clock.wallMs() });
      const { times, clock } = this.#options;
      // One that held for a while was a good one; its end is no failure to connect.
      failures = clock.nowMs() - startedAtMs > times.retryMaxMs * 2 ? 1 : failures + 1;
      const pause = { firstMs: times.retryFirstMs, maxMs: times.retryMaxMs };
      await sleep(backoffMs(pause, failures, Math.random()), signal);
    }
  }

  /** @returns why it ended. */
  async #once(signal: AbortSignal): Promise<unknown> {
    const { settings, times, greet } = this.#options;
    let client: Client | undefined;
    try {
      const ended = new Promise<unknown>((resolve) => {
        this.#giveUp = resolve;
      });
      const opening = dial(settings, times, this.#giveUp);
      const opened = await Promise.race([opening, ended.then(() => undefined)]);
      if (opened === undefined || signal.aborted) {
        opening.then(
          (late) => late.destroy(),
          () => undefined, // it was given up before it could fail
        );
        return await ended;
      }
      client = opened;
      this.#inFlight = 0;
      const watched = this.#watch(opened, ended);
      const refused = greet?.(async (args) => await this.#sendOn(opened, args, {})).then(
        () => undefined,
        (error: unknown) => ({ error }),
      );
      const failed = await Promise.race([refused, ended.then((error) => ({ error }))]);
      if (failed !== undefined) {
        this.#giveUp(failed.error);
        await watched;
        return failed.error;
      }
      this.#client = opened;
      this.#epoch += 1;
      this.#move({ type: "up" });
      await watched;
      return await ended;
    } catch (error) {
      return error;
    } finally {
      this.#client = undefined;
      client?.destroy();
    }
  }

  /**
   * Gives the connection up when an answer is overdue, and asks for a sign of life when it was silent for long. A time in which
   * this process itself stood still is not Redis's silence: what came meanwhile has not been read.
   */
  async #watch(client: Client, ended: Promise<unknown>): Promise<void> {
    const { times, clock } = this.#options;
    const over = new AbortController();
    const stopped = ended.then(() => over.abort());
    const beatMs = Math.max(50, Math.min(times.commandMs, times.silenceMs) / 4);
    let lookedAtMs = clock.nowMs();
    for (;;) {
      const isOver = await sleep(beatMs, over.signal).then(
        () => false,
        () => true,
      );
      if (isOver) break;
      const nowMs = clock.nowMs();
      const stoodStillMs = Math.max(0, nowMs - lookedAtMs - 2 * beatMs);
      lookedAtMs = nowMs;
      this.#movedAtMs = Math.min(nowMs, this.#movedAtMs + stoodStillMs);
      const silentMs = nowMs - this.#movedAtMs;
      if (this.#inFlight > 0 && silentMs > this.#patienceMs) this.#giveUp(new Error("no answer in time"));
      if (this.#inFlight === 0 && silentMs > times.silenceMs) {
        this.#sendOn(client, ["PING"], {}).catch((error: unknown) => {
          if (failureOf(error) !== "settings") this.#giveUp(error);
        });
      }
    }
    await stopped;
  }

  #move(state: ConnectionState): void {
    const before = this.#state;
    // However often it is tried, it is away since it went.
    this.#state =
      state.type === "away" && before.type === "away" ? { ...state, sinceMs: before.sinceMs } : state;
    if (state.type === "up") this.#onRise();
    else if (before.type === "up") this.#awaitRise();
    for (const listener of this.#listeners) listener(this.#state);
  }

  #awaitRise(): void {
    this.#rise = new Promise((resolve) => {
      this.#onRise = resolve;
    });
  }
}

async function dial(
  settings: RedisSettings,
  times: RedisTimes,
  onGone: (reason: unknown) => void,
): Promise<Client> {
  const access = accessOf(settings, times.commandMs);
  if (settings.type === "cluster") return await openClusterClient(settings, access, onGone);
  const address = settings.type === "single" ? settings.address : await findPrimary(settings, times);
  return await openClient(address, access, onGone);
}
