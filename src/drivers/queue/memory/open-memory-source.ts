import { randomUUID } from "node:crypto";
import type {
  Claim,
  Clock,
  CommitResult,
  Completion,
  DeadLetter,
  JobEvent,
  JobSource,
  SourceFigures,
  SourceState,
} from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { PassedOver } from "../passed-over.ts";
import type { Entry, MemoryQueue } from "./memory-queue.ts";

export interface MemorySourceOptions {
  readonly queue: MemoryQueue;
  readonly streams: readonly string[];
  readonly consumer: string;
  readonly clock: Clock;
}

/** A source within this process: for tests, and for trying things out without Redis. Leases run by the clock that it is given. */
export function openMemorySource(options: MemorySourceOptions): JobSource {
  return new MemorySource(options);
}

class MemorySource implements JobSource {
  readonly state: SourceState = { type: "connected" };
  readonly #options: MemorySourceOptions;
  readonly #life = randomUUID();
  readonly #held = new Map<string, Claim>();
  readonly #gone = new Set<string>();
  readonly #closes = new Set<() => void>();
  readonly #figures = {
    claimed: 0,
    takenOver: 0,
    released: 0,
    committed: 0,
    lost: 0,
    deadLettered: 0,
    vanished: 0,
    reconnects: 0,
    emptied: 0,
  };
  readonly #passedOver: PassedOver;
  #rotation = 0;
  #isClosed = false;

  constructor(options: MemorySourceOptions) {
    this.#options = options;
    this.#passedOver = new PassedOver(options.queue.options.leaseMs, options.queue.options.nowMs);
  }

  get figures(): SourceFigures {
    return { ...this.#figures, buffered: 0 };
  }

  get hasGivenOwn(): boolean {
    return !this.#options.queue.entries().some((entry) => this.#isOwn(entry));
  }

  async claim(count: number, waitMs: number, signal: AbortSignal): Promise<readonly Claim[]> {
    signal.throwIfAborted();
    this.#throwIfClosed();
    const { queue, clock } = this.#options;
    const untilMs = clock.nowMs() + waitMs;
    for (;;) {
      const claims = this.#take(count);
      const leftMs = untilMs - clock.nowMs();
      if (claims.length > 0 || leftMs <= 0) return claims;
      await new Promise<void>((resolve, reject) => {
        const end = (): void => {
          forget();
          cancel();
          signal.removeEventListener("abort", onAbort);
          this.#closes.delete(onClose);
        };
        const onChange = (): void => {
          end();
          resolve();
        };
        const onAbort = (): void => {
          end();
          reject(signal.reason);
        };
        const onClose = (): void => {
          end();
          reject(closed());
        };
        const forget = queue.onChange(onChange);
        // A lease may run out meanwhile.
        const cancel = clock.after(Math.min(leftMs, queue.options.leaseMs / 4), onChange);
        signal.addEventListener("abort", onAbort, { once: true });
        this.#closes.add(onClose);
      });
    }
  }

  renew(claims: readonly Claim[]): Promise<readonly Claim[]> {
    const { queue, consumer } = this.#options;
    // What its own commit has overtaken is not lost: its caller knows.
    const open = claims.filter((claim) => !queue.isCompletedBy(claim, this.#life));
    const lost = open.filter((claim) => {
      const entry = this.#ownedEntry(claim);
      if (entry !== undefined) {
        const untilMs = queue.options.nowMs() + queue.options.leaseMs;
        entry.owner = { consumer, life: this.#life, untilMs };
      }
      return entry === undefined && !this.#gone.has(keyOf(claim));
    });
    for (const claim of lost) this.#held.delete(keyOf(claim));
    this.#figures.lost += lost.length;
    return Promise.resolve(lost);
  }

  resume(claim: Claim, how: "goes-on" | "anew"): Promise<Claim | undefined> {
    const entry = this.#options.queue.owns(claim, this.#life);
    if (entry === undefined) return Promise.resolve(undefined);
    if (how === "anew") entry.attempt += 1;
    else entry.deaths = Math.max(0, entry.deaths - 1);
    const resumed = { ...claim, attempt: entry.attempt, deaths: entry.deaths };
    this.#held.set(keyOf(claim), resumed);
    return Promise.resolve(resumed);
  }

  commit(claim: Claim, completion: Completion): Promise<CommitResult> {
    this.#ownedEntry(claim);
    const isDeleted = this.#gone.has(keyOf(claim));
    const result = this.#options.queue.commit(claim, this.#life, completion, isDeleted);
    return Promise.resolve(this.#ended(claim, result, "committed"));
  }

  deadLetter(claim: Claim, reason: string, events: readonly JobEvent[]): Promise<CommitResult> {
    const result = this.#options.queue.bury(claim, this.#life, reason, events);
    return Promise.resolve(this.#ended(claim, result, "deadLettered"));
  }

  release(claims: readonly Claim[], _reason: string, how?: "failed" | "elsewhere"): Promise<void> {
    for (const claim of claims) {
      const entry = this.#options.queue.owns(claim, this.#life);
      this.#held.delete(keyOf(claim));
      if (entry === undefined) continue;
      entry.owner = undefined;
      if (how === "failed") entry.failures += 1;
      if (how === "elsewhere") this.#passedOver.add(keyOf(claim));
      this.#figures.released += 1;
    }
    this.#options.queue.changed();
    return Promise.resolve();
  }

  publish(events: readonly JobEvent[], claim?: Claim): Promise<boolean> {
    const entry = claim && this.#ownedEntry(claim);
    if (claim !== undefined && entry === undefined && !this.#gone.has(keyOf(claim))) {
      return Promise.resolve(false);
    }
    if (entry !== undefined) {
      if (entry.saidOf === entry.attempt) return Promise.resolve(true);
      entry.saidOf = entry.attempt;
    }
    this.#options.queue.events.push(...events);
    return Promise.resolve(true);
  }

  async watchCommands(
    jobId: string,
    onCommand: (message: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    if (signal.aborted || this.#isClosed) return;
    const { queue } = this.#options;
    const hear = (): void => {
      for (const message of queue.takeCommands(jobId)) onCommand(message);
    };
    const forget = queue.onChange(hear);
    this.#closes.add(forget);
    signal.addEventListener("abort", forget, { once: true });
    await Promise.resolve().then(hear);
  }

  deadLetters(limit: number, signal: AbortSignal): Promise<readonly DeadLetter[]> {
    signal.throwIfAborted();
    return Promise.resolve(this.#options.queue.deadLetters(limit));
  }

  replay(ids: readonly string[] | "all", signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    return Promise.resolve(this.#options.queue.replay(ids));
  }

  leave(signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    const { queue, consumer } = this.#options;
    return Promise.resolve(queue.entries().every(({ owner }) => owner?.consumer !== consumer));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const close of [...this.#closes]) close();
    this.#closes.clear();
    return Promise.resolve();
  }

  #take(count: number): readonly Claim[] {
    const { queue, streams, consumer } = this.#options;
    const nowMs = queue.options.nowMs();
    this.#rotation = (this.#rotation + 1) % Math.max(1, streams.length);
    const turned = [...streams.slice(this.#rotation), ...streams.slice(0, this.#rotation)];
    const entries = turned.flatMap((stream) => queue.entries().filter((entry) => entry.stream === stream));
    const open = entries.filter((entry) => {
      if (!queue.completions.has(entry.jobId)) return true;
      if (entry.owner === undefined) queue.delete(entry.stream, entry.entryId);
      return false;
    });
    const own = open.filter((entry) => this.#isOwn(entry));
    const dead = open.filter(
      ({ owner }) => owner !== undefined && owner.consumer !== consumer && owner.untilMs <= nowMs,
    );
    const passedOver = new Set(this.#passedOver.names());
    const handedBack = open.filter(
      (entry) => entry.owner === undefined && entry.attempt > 0 && !passedOver.has(keyOf(entry)),
    );
    const fresh = open.filter(({ owner, attempt }) => owner === undefined && attempt === 0);
    const taken = [...own, ...handedBack, ...dead, ...fresh].slice(0, count);
    return taken.map((entry) => this.#claimOne(entry, this.#isOwn(entry)));
  }

  #isOwn({ owner }: Entry): boolean {
    return owner?.consumer === this.#options.consumer && owner.life !== this.#life;
  }

  #claimOne(entry: Entry, isOwn: boolean): Claim {
    const { queue, consumer } = this.#options;
    if (entry.owner !== undefined) entry.deaths += 1;
    if (entry.owner !== undefined && !isOwn) this.#figures.takenOver += 1;
    if (!isOwn) entry.attempt += 1;
    const untilMs = queue.options.nowMs() + queue.options.leaseMs;
    entry.owner = { consumer, life: this.#life, untilMs };
    this.#figures.claimed += 1;
    const { stream, entryId, jobId, attempt, deaths, failures, fields } = entry;
    const claim = { stream, entryId, jobId, attempt, deaths, failures, fields, isOwn };
    this.#held.set(keyOf(claim), claim);
    return claim;
  }

  /** Notices one that somebody has deleted: it can be nobody else's. */
  #ownedEntry(claim: Claim): Entry | undefined {
    const { queue } = this.#options;
    const name = keyOf(claim);
    const isThere = queue.entries().some((entry) => keyOf(entry) === name);
    const isHeld = this.#held.get(name)?.attempt === claim.attempt;
    if (!isThere && isHeld && !this.#gone.has(name)) {
      this.#gone.add(name);
      this.#figures.vanished += 1;
    }
    return queue.owns(claim, this.#life);
  }

  #ended(claim: Claim, result: CommitResult, as: "committed" | "deadLettered"): CommitResult {
    if (result === "committed") this.#figures[as] += 1;
    if (result === "lost") this.#figures.lost += 1;
    this.#held.delete(keyOf(claim));
    this.#gone.delete(keyOf(claim));
    return result;
  }

  #throwIfClosed(): void {
    if (this.#isClosed) throw closed();
  }
}

function closed(): ExecutorError {
  return new ExecutorError("QUEUE_UNAVAILABLE", { reason: "closed" });
}

function keyOf(entry: { readonly stream: string; readonly entryId: string }): string {
  return `${entry.stream} ${entry.entryId}`;
}
