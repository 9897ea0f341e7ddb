import { randomUUID } from "node:crypto";
import type {
  Claim,
  CommitResult,
  Completion,
  DeadLetter,
  JobEvent,
  JobSource,
  SourceFigures,
  SourceState,
} from "../../../core/index.ts";
import { orAbort, systemClock } from "../../../std/index.ts";
import { Arrivals } from "./arrivals.ts";
import { Base, told } from "./base.ts";
import { Claimer } from "./claimer.ts";
import { Commands } from "./commands.ts";
import { type Connection, openConnection } from "./connection.ts";
import { EvictionWatch } from "./eviction-watch.ts";
import { failureOf, reasonOf, unavailable } from "./failure.ts";
import { newTally } from "./figures.ts";
import { listDead, replayDead } from "./graveyard.ts";
import { openGroup, readMarker } from "./groups.ts";
import { nameOf } from "./names.ts";
import { Outgoing } from "./outgoing.ts";
import { listOf, textOf } from "./replies.ts";
import { Reporter } from "./reporter.ts";
import { LEAVE, RELEASE, RESUME } from "./scripts/leases.ts";
import { serverRemarks } from "./server-remarks.ts";
import { REDIS_TIMES } from "./settings.ts";
import type { RedisSourceOptions } from "./source-options.ts";
import { SOURCE_LIMITS } from "./source-options.ts";
import { StepBatches } from "./step-batches.ts";
import { StreamHealth } from "./stream-health.ts";

/** A source that can be waited for. */
export interface RedisSource extends JobSource {
  /** Resolves once Redis has answered. @throws the signal's reason. */
  untilUp(signal: AbortSignal): Promise<void>;
}

/**
 * Jobs from streams of Redis. Returns at once; connects in the background, and again for as long as it lives. Needs up to three
 * connections: for commands, for the wait for new entries, and, while jobs are watched, for their command lists.
 */
export function openRedisSource(options: RedisSourceOptions): RedisSource {
  return new LiveSource(options);
}

class LiveSource implements RedisSource {
  readonly #base: Base;
  readonly #batches: StepBatches;
  readonly #connection: Connection;
  readonly #reading: Connection | undefined;
  readonly #commands: Commands;
  readonly #claimer: Claimer;
  readonly #reporter: Reporter;
  readonly #outgoing: Outgoing;
  readonly #health: StreamHealth;
  readonly #eviction: EvictionWatch;
  readonly #held = new Map<string, Claim>();
  readonly #tally = newTally();
  #turn: Promise<unknown> = Promise.resolve();
  #marker: string | undefined;
  #awayReason: string | undefined;
  #isRemarked = false;
  #isClosed = false;

  constructor(options: RedisSourceOptions) {
    const limits = { ...SOURCE_LIMITS, ...options.limits };
    const times = { ...REDIS_TIMES, ...options.times };
    const clock = options.clock ?? systemClock;
    const { settings, log } = options;
    const isCluster = settings.type === "cluster";
    this.#connection = openConnection({
      settings,
      times,
      clock,
      greet: isCluster ? async () => undefined : async (send) => await this.#greet(send),
    });
    this.#base = new Base({ connection: this.#connection, options, limits, clock, life: randomUUID() });
    this.#health = new StreamHealth(clock, log);
    this.#eviction = new EvictionWatch(this.#base, this.#health);
    this.#outgoing = new Outgoing({
      connection: this.#connection,
      max: limits.maxBuffered,
      flushMs: limits.flushMs,
      onBroken: (reason) => this.#health.fell(limits.events, reason),
      onRepaired: () => this.#health.worked(limits.events),
    });
    this.#batches = new StepBatches(this.#base);
    this.#reporter = new Reporter({
      base: this.#base,
      batches: this.#batches,
      tally: this.#tally,
      outgoing: this.#outgoing,
    });
    this.#reading = isCluster ? undefined : openConnection({ settings, times, clock });
    this.#claimer = new Claimer({
      base: this.#base,
      health: this.#health,
      eviction: this.#eviction,
      tally: this.#tally,
      arrivals: this.#reading === undefined ? undefined : new Arrivals(this.#reading),
      held: this.#held,
      healGroup: async (stream) => await this.#healGroup(stream),
    });
    this.#commands = new Commands({
      connection: this.#connection,
      openBlocking: isCluster
        ? undefined
        : (onId) =>
            openConnection({
              settings,
              times,
              clock,
              greet: async (send) => await readClientId(send, onId),
            }),
      log,
      clock,
    });
    this.#connection.onState((state) => this.#onState(state));
  }

  get state(): SourceState {
    const { state } = this.#connection;
    if (state.type === "away") return state;
    const worst = this.#health.worst;
    return worst === undefined ? { type: "connected" } : { type: "broken", ...worst };
  }

  get figures(): SourceFigures {
    return { ...this.#tally, buffered: this.#outgoing.waiting };
  }

  get hasGivenOwn(): boolean {
    return this.#claimer.hasGivenOwn;
  }

  async untilUp(signal: AbortSignal): Promise<void> {
    await this.#connection.untilUp(signal);
  }

  async claim(count: number, waitMs: number, signal: AbortSignal): Promise<readonly Claim[]> {
    signal.throwIfAborted();
    if (this.#isClosed) throw unavailable("closed");
    const mine = this.#turn.then(async () => await this.#claim(count, waitMs, signal));
    this.#turn = mine.catch(() => undefined); // told to whoever asked; the next one asks anew
    return await orAbort(mine, signal, (late) => this.#giveBack(late));
  }

  async renew(claims: readonly Claim[]): Promise<readonly Claim[]> {
    const streams = [...new Set(claims.map(({ stream }) => stream))];
    // Nobody who renews waits for it.
    this.#claimer.lookForDead().catch(() => undefined); // never: it tells nobody
    const lost = (await Promise.all(streams.map(async (stream) => await this.#renew(stream, claims)))).flat();
    for (const claim of lost) this.#drop(claim);
    this.#tally.lost += lost.length;
    return lost;
  }

  async resume(claim: Claim, how: "goes-on" | "anew"): Promise<Claim | undefined> {
    const place = this.#base.placeOf(claim.stream);
    const [attempt, deaths] = listOf(
      await this.#outgoing.run(nameOf(claim), async () => {
        const more = { claims: [told(claim)], anew: how === "anew" };
        return await this.#base.run(RESUME, place, [claim.stream], more);
      }),
    );
    if (attempt === undefined) {
      this.#drop(claim);
      return undefined;
    }
    const resumed = { ...claim, attempt: Number(attempt), deaths: Number(deaths) };
    this.#held.set(nameOf(claim), resumed);
    return resumed;
  }

  async commit(claim: Claim, completion: Completion): Promise<CommitResult> {
    const result = await this.#reporter.commit(claim, completion);
    this.#ended(claim, result);
    return result;
  }

  async deadLetter(claim: Claim, reason: string, events: readonly JobEvent[]): Promise<CommitResult> {
    const result = await this.#reporter.bury(claim, reason, events);
    this.#ended(claim, result);
    return result;
  }

  async publish(events: readonly JobEvent[], claim?: Claim): Promise<boolean> {
    return await this.#reporter.publish(events, claim);
  }

  async release(claims: readonly Claim[], reason: string, how?: "failed" | "elsewhere"): Promise<void> {
    for (const place of this.#base.places([...new Set(claims.map(({ stream }) => stream))])) {
      const here = claims.filter(({ stream }) => place.streams.includes(stream));
      const more = { claims: here.map(told), reason, failed: how === "failed" };
      // Before they are anybody's: this host asks for more at the same time.
      if (how === "elsewhere") for (const claim of here) this.#claimer.passOver(nameOf(claim));
      const lane = `release ${here.map(nameOf).join(" ")}`;
      const count = await this.#outgoing.run(lane, async () =>
        Number(await this.#base.run(RELEASE, place, place.streams, more)),
      );
      this.#tally.released += count;
      for (const claim of here) this.#drop(claim);
    }
  }

  watchCommands(jobId: string, onCommand: (message: string) => void, signal: AbortSignal): Promise<void> {
    return this.#commands.watch(jobId, onCommand, signal);
  }

  async deadLetters(limit: number, signal: AbortSignal): Promise<readonly DeadLetter[]> {
    return await listDead(this.#base, limit, signal);
  }

  async replay(ids: readonly string[] | "all", signal: AbortSignal): Promise<number> {
    return await replayDead(this.#base, ids, signal);
  }

  async leave(signal: AbortSignal): Promise<boolean> {
    let hasLeft = true;
    for (const place of this.#base.places(this.#base.options.streams)) {
      const left = this.#base.run(LEAVE, place, place.streams, {}).catch((error: unknown) => {
        throw unavailable(reasonOf(error), error);
      });
      hasLeft = Number(await orAbort(left, signal)) === 1 && hasLeft;
    }
    return hasLeft;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#eviction[Symbol.asyncDispose]();
    await this.#commands[Symbol.asyncDispose]();
    await this.#outgoing.close();
    await this.#reading?.[Symbol.asyncDispose]();
    await this.#connection[Symbol.asyncDispose]();
  }

  async #claim(count: number, waitMs: number, signal: AbortSignal): Promise<readonly Claim[]> {
    const claims = await this.#claimer.claim(count, waitMs, signal);
    const news = claims.filter((claim) => !this.#reporter.hasEnded(claim));
    for (const claim of news) this.#held.set(nameOf(claim), claim);
    this.#tally.claimed += news.length;
    return news;
  }

  async #renew(stream: string, claims: readonly Claim[]): Promise<readonly Claim[]> {
    const here = claims.filter((claim) => claim.stream === stream);
    const step = { verb: "renew", claims: here.map(told) } as const;
    const reply = await this.#batches
      .run(this.#base.placeOf(stream), stream, step)
      .catch((error: unknown) => this.#excuse(error));
    const [indexes, vanished] = listOf(reply);
    this.#countVanished(Number(vanished ?? 0));
    return listOf(indexes).flatMap((at) => here[Number(at)] ?? []);
  }

  /** Claimed for somebody who has gone. */
  #giveBack(claims: readonly Claim[]): void {
    if (claims.length === 0) return;
    this.release(claims, "nobody waits for it any more").catch(() => undefined); // closing: the lease runs out
  }

  #ended(claim: Claim, result: CommitResult): void {
    this.#drop(claim);
    // One that was lost may run elsewhere, and hear there.
    if (result !== "lost") this.#commands.end(claim.jobId);
  }

  #drop(claim: Claim): void {
    const name = nameOf(claim);
    if ((this.#held.get(name)?.attempt ?? 0) <= claim.attempt) this.#held.delete(name);
  }

  #countVanished(count: number): void {
    if (count === 0) return;
    this.#tally.vanished += count;
    this.#base.options.log.log("warn", "queue.vanished", { entries: count });
  }

  /**
   * Nobody could renew while Redis was away. A host that is back sooner finds the entries of all others silent, and takes them half
   * a lease later; the next renewal that is due may come after that. What is lost the next renewal finds as well, and tells.
   */
  #renewHeld(): void {
    const held = [...this.#held.values()];
    for (const stream of new Set(held.map((claim) => claim.stream)))
      this.#renew(stream, held).catch(() => undefined); // likewise
  }

  /** A renewal that did not reach Redis says nothing about who holds what. */
  #excuse(error: unknown): readonly unknown[] {
    if (failureOf(error) === "defect") throw unavailable(reasonOf(error), error);
    return [];
  }

  async #greet(send: (args: readonly string[]) => Promise<unknown>): Promise<void> {
    const { prefix, allowsEviction } = this.#base.limits;
    const { marker, isEmptied } = await readMarker(send, prefix, this.#marker);
    this.#noteMarker(marker, isEmptied);
    if (this.#isRemarked) return;
    this.#isRemarked = true;
    // A user may not be allowed to ask; then nothing is known, and nothing is said.
    const info = await send(["INFO"]).catch(() => "");
    const remarks = serverRemarks(textOf(info), { allowsEviction });
    if (remarks.length > 0) this.#base.options.log.log("warn", "queue.remarked", { remarks });
  }

  #noteMarker(marker: string, isEmptied: boolean): void {
    this.#marker = marker;
    if (!isEmptied) return;
    this.#tally.emptied += 1;
    this.#base.options.log.log("error", "queue.emptied", { held: this.#held.size });
  }

  async #healGroup(stream: string): Promise<void> {
    const { connection, limits, options, isCluster } = this.#base;
    await openGroup(connection, stream, options.group);
    if (isCluster) return;
    const send = async (args: readonly string[]) => await connection.send(args);
    const { marker, isEmptied } = await readMarker(send, limits.prefix, this.#marker);
    this.#noteMarker(marker, isEmptied);
  }

  #onState(state: Connection["state"]): void {
    const { log } = this.#base.options;
    if (state.type === "away") {
      // One line for each time, and one more when the reason is another.
      if (this.#awayReason !== state.reason) log.log("warn", "queue.away", { reason: state.reason });
      this.#awayReason = state.reason;
      return;
    }
    this.#awayReason = undefined;
    if (this.#connection.epoch > 1) this.#tally.reconnects += 1;
    this.#claimer.onUp();
    this.#renewHeld();
    log.log("info", "queue.connected", { reconnects: this.#tally.reconnects });
  }
}

async function readClientId(
  send: (args: readonly string[]) => Promise<unknown>,
  onId: (id: string) => void,
): Promise<void> {
  // A user who may not ask hears of changes when the pop ends by itself.
  onId(textOf(await send(["CLIENT", "ID"]).catch(() => undefined)));
}
