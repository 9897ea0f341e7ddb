import type { Clock, Log } from "../../../core/index.ts";
import { eitherSignal, orAbort, Scope, sleep } from "../../../std/index.ts";
import { BrokenLists } from "./broken-lists.ts";
import type { Connection } from "./connection.ts";
import { failureOf } from "./failure.ts";
import { CLOSE, KeyBatch, LIMIT, POP } from "./key-batch.ts";
import { commandKeys } from "./names.ts";
import { listOf, textOf } from "./replies.ts";

/** How long one blocked pop waits at most; a change of the watched jobs ends it before. */
const BLOCK_MS = 1000;
/** How often one asks where blocking is not possible. */
const POLL_MS = 500;
const RETRY_MS = 250;
/** How long the last pop may take to end where it was told to. */
const LAST_POP_MS = 100;
/** Changes of the watched jobs within this time end one pop together: where jobs are short there are many. */
const GATHER_MS = 100;
/** How long a message that nobody takes is kept: others push theirs without an end. */
const KEEP_S = 7 * 24 * 3600;
/** Stands in the lists of a job that is over, so that what is pushed there later ends with them; and for how long. */
const OVER = "over";
const OVER_S = 24 * 3600;
/** No list of ours grows longer; of another's longer one the rest is heard a moment later. */
const MOST_MESSAGES = 16;

export interface CommandsOptions {
  /** For what does not block. */
  readonly connection: Connection;
  /** Opens the connection that blocks, at the first watch; absent in a cluster, where one pop reaches one slot. */
  readonly openBlocking: ((onId: (id: string) => void) => Connection) | undefined;
  readonly log: Log;
  readonly clock: Clock;
}

/** Hears the command lists of all watched jobs over one connection. */
export class Commands implements AsyncDisposable {
  readonly #options: CommandsOptions;
  readonly #scope = new Scope();
  readonly #watched = new Map<string, (message: string) => void>();
  /**
   * Watched keys of which the first look is not over: the blocked pop leaves them out, or it could hold what the look no
   * longer finds.
   */
  readonly #unseen = new Set<string>();
  /** The blocked pop of the moment, or the last one. */
  #popping: { readonly keys: readonly string[]; readonly ended: Promise<unknown> } | undefined;
  readonly #broken: BrokenLists;
  #blocking: Connection | undefined;
  #clientId: string | undefined;
  #isStarted = false;
  /** Heard once by itself, as soon as it is watched. */
  readonly #pops: KeyBatch;
  /** What is left in a list when this host has no more to do with it goes one day, whoever put it there. */
  readonly #limits: KeyBatch;
  /** Of jobs that are over. */
  readonly #closes: KeyBatch;
  /** Jobs that are over and still watched. */
  readonly #over = new Set<string>();
  /** Lists to close, once no pop waits for them: it would take out what closes them. */
  readonly #closing = new Set<string>();
  #wake: () => void = () => undefined;
  #gathering: NodeJS.Timeout | undefined;

  constructor(options: CommandsOptions) {
    this.#options = options;
    const { connection, openBlocking, log, clock } = options;
    this.#broken = new BrokenLists({ connection, log, clock, isWatched: (key) => this.#watched.has(key) });
    const shared = { connection, isCluster: openBlocking === undefined };
    const hear = (key: string, message: string): void => {
      this.#hear(key, message).catch(() => undefined); // the connection breaks, and whoever asked asks again
    };
    this.#pops = new KeyBatch({ ...shared, deed: POP, args: [`${MOST_MESSAGES}`], onReply: hear });
    this.#limits = new KeyBatch({ ...shared, deed: LIMIT, args: [`${KEEP_S}`] });
    this.#closes = new KeyBatch({ ...shared, deed: CLOSE, args: [`${KEEP_S}`, OVER, `${OVER_S}`] });
  }

  /** Resolves once both lists have been looked at and what was in them was told, or the signal aborts. Never rejects. */
  watch(jobId: string, onCommand: (message: string) => void, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#scope.signal.aborted) return Promise.resolve();
    const keys = commandKeys(jobId);
    for (const key of keys) {
      this.#watched.set(key, onCommand);
      this.#unseen.add(key);
    }
    const end = (): void => this.#endWatch(jobId, keys, onCommand);
    signal.addEventListener("abort", end, { once: true });
    this.#start();
    return this.#lookFirst(keys, onCommand, signal);
  }

  /** A job is over for all hosts: its lists go one day, and with them what others push to them from now on. */
  end(jobId: string): void {
    const keys = commandKeys(jobId);
    if (keys.some((key) => this.#watched.has(key))) {
      this.#over.add(jobId);
      return;
    }
    for (const key of keys) this.#closing.add(key);
    this.#changed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#scope.stop();
    this.#pops.stop();
    this.#tellChange();
    clearTimeout(this.#gathering);
    // What it has taken already is put back.
    if (this.#popping !== undefined)
      await orAbort(this.#popping.ended, AbortSignal.timeout(LAST_POP_MS)).catch(() => undefined);
    await this.#blocking?.[Symbol.asyncDispose]();
    await this.#scope[Symbol.asyncDispose]();
    // Nothing is popped any more. Without a connection there is nobody to tell, and the connection has a deadline of its own.
    await this.#limits.add([]).catch(() => undefined);
    await this.#closes.add(this.#takeClosing()).catch(() => undefined);
    this.#limits.stop();
    this.#closes.stop();
  }

  #endWatch(jobId: string, keys: readonly string[], onCommand: (message: string) => void): void {
    const isOver = this.#over.delete(jobId);
    for (const key of keys) {
      if (this.#watched.get(key) === onCommand) {
        this.#watched.delete(key);
        this.#unseen.delete(key);
        this.#broken.forget(key);
      }
      if (isOver) this.#closing.add(key);
    }
    if (!isOver) this.#limit(keys);
    this.#changed();
  }

  /** From then on the blocked pop hears for them. */
  async #lookFirst(
    keys: readonly string[],
    onCommand: (message: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#untilUnpopped(keys, signal);
    if (signal.aborted) return;
    await this.#look(keys, signal);
    for (const key of keys) if (this.#watched.get(key) === onCommand) this.#unseen.delete(key);
    this.#changed();
  }

  /** A job that was here a moment ago may still be popped for. */
  async #untilUnpopped(keys: readonly string[], signal: AbortSignal): Promise<void> {
    const popping = this.#popping;
    if (popping === undefined || !keys.some((key) => popping.keys.includes(key))) return;
    this.#tellChange();
    using over = eitherSignal(signal, this.#scope.signal);
    await orAbort(popping.ended, over.signal).catch(() => undefined); // over
  }

  async #look(keys: readonly string[], signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await this.#pops.add(keys);
        return;
      } catch (error) {
        const type = failureOf(error);
        // Who may not ask hears nothing, however often; whoever waits at these lists says so.
        if (type !== "retry" && type !== "reconnect") return;
      }
      using over = eitherSignal(signal, this.#scope.signal);
      await sleep(RETRY_MS, over.signal)
        .then(async () => await this.#options.connection.untilUp(over.signal))
        .catch(() => undefined); // over, as is seen next
      if (over.signal.aborted) return;
    }
  }

  /** What fails is forgotten: whoever watches them next meets it too. */
  #limit(keys: readonly string[]): void {
    this.#limits.add(keys).catch(() => undefined);
  }

  #takeClosing(): readonly string[] {
    const keys = [...this.#closing];
    this.#closing.clear();
    return keys;
  }

  /** Called while no pop waits. */
  #closeLists(): void {
    if (this.#closing.size === 0) return;
    const keys = this.#takeClosing().filter((key) => !this.#watched.has(key));
    this.#closes.add(keys).catch((error: unknown) => {
      // The connection may have broken under it.
      if (failureOf(error) !== "retry") return;
      for (const key of keys) this.#closing.add(key);
      this.#changed();
    });
  }

  #start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#blocking = this.#options.openBlocking?.((id) => {
      this.#clientId = id;
    });
    this.#scope.spawn(async (stop) => await this.#listen(stop));
  }

  /** A job that is new is asked about once by itself, and one that is over has nothing to hear: neither is in a hurry. */
  #changed(): void {
    if (this.#scope.signal.aborted) return;
    this.#start();
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
        await this.#broken.lookAgain();
        this.#closeLists();
        const keys = this.#usable();
        if (keys.length === 0) await this.#untilChanged(stop);
        else if (this.#blocking === undefined) await this.#poll(keys, stop);
        else await this.#popNext(this.#blocking, keys);
      } catch (error) {
        if (stop.aborted) return;
        if (failureOf(error) === "stream") await this.#broken.sortOut(this.#usable());
        await sleep(RETRY_MS, stop);
      }
      if (stop.aborted) return;
    }
  }

  #usable(): readonly string[] {
    return [...this.#watched.keys()].filter((key) => !this.#unseen.has(key) && !this.#broken.has(key));
  }

  #popNext(blocking: Connection, keys: readonly string[]): Promise<void> {
    const ended = this.#pop(blocking, keys);
    this.#popping = { keys, ended: ended.catch(() => undefined) };
    return ended;
  }

  async #pop(blocking: Connection, keys: readonly string[]): Promise<void> {
    const reply = await blocking.send(["BRPOP", ...keys, `${BLOCK_MS / 1000}`], { waitMs: BLOCK_MS });
    const [key, message] = listOf(reply);
    if (key === undefined) return;
    await this.#hear(textOf(key), textOf(message));
  }

  async #hear(key: string, message: string): Promise<void> {
    if (message === OVER) return;
    const onCommand = this.#watched.get(key);
    if (onCommand !== undefined) onCommand(message);
    // Its job has left this host while the pop waited, and may be another's now.
    else await this.#putBack(key, message);
  }

  async #putBack(key: string, message: string): Promise<void> {
    await this.#options.connection.send(["RPUSH", key, message], { key });
    this.#limit([key]);
  }

  async #poll(keys: readonly string[], stop: AbortSignal): Promise<void> {
    await Promise.all(keys.map(async (key) => await this.#popOnce(key)));
    await sleep(POLL_MS, stop);
  }

  async #popOnce(key: string): Promise<void> {
    const message = await this.#options.connection.send(["RPOP", key], { key });
    if (typeof message === "string") await this.#hear(key, message);
  }

  /** Or until it is time to look again at what is broken. */
  async #untilChanged(stop: AbortSignal): Promise<void> {
    const changed = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    const { dueInMs } = this.#broken;
    const timer = dueInMs === undefined ? undefined : setTimeout(() => this.#wake(), dueInMs);
    try {
      await orAbort(changed, stop);
    } finally {
      clearTimeout(timer);
    }
  }
}
