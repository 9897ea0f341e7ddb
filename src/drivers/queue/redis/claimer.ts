import type { Claim } from "../../../core/index.ts";
import { orAbort, sleep } from "../../../std/index.ts";
import { PassedOver } from "../passed-over.ts";
import type { Arrivals } from "./arrivals.ts";
import type { Base } from "./base.ts";
import { carryOver } from "./carry-over.ts";
import type { EvictionWatch } from "./eviction-watch.ts";
import { failureOf, failureOfText, reasonOf, unavailable } from "./failure.ts";
import type { Tally } from "./figures.ts";
import { streamSuffix } from "./names.ts";
import type { ClaimReply } from "./replies.ts";
import { listOf, readClaimReply, textOf } from "./replies.ts";
import { CLAIM } from "./scripts/claim.ts";
import { SCAN } from "./scripts/leases.ts";
import type { StreamHealth } from "./stream-health.ts";
import { type Silent, Suspicions } from "./suspicions.ts";

export interface ClaimerParts {
  readonly base: Base;
  readonly health: StreamHealth;
  readonly eviction: EvictionWatch;
  readonly tally: Tally;
  /** Absent in a cluster, where no read reaches all streams. */
  readonly arrivals: Arrivals | undefined;
  /** What was handed out and is not over: never handed out twice. */
  readonly held: ReadonlyMap<string, Claim>;
  /** Makes the group where it is missing. */
  readonly healGroup: (stream: string) => Promise<void>;
}

interface Asked {
  readonly claims: readonly Claim[];
  readonly marks: ClaimReply["marks"];
  /** Whether it is worth asking again at once: something was set right, or there may be more behind what is over. */
  readonly isWorthAsking: boolean;
}

/** How many answers without a claim may follow each other at once before one waits all the same. */
const IN_A_ROW = 50;

/** Finds entries for this host. One question at a time. */
export class Claimer {
  readonly #parts: ClaimerParts;
  readonly #suspicions: Suspicions;
  readonly #passedOver: PassedOver;
  #rotation = 0;
  #ownDueAtMs = Number.NEGATIVE_INFINITY;
  #scanDueAtMs = Number.NEGATIVE_INFINITY;
  #scanFrom = new Map<string, string>();
  /** What the last look found, for whoever asks before the next. */
  #dead: readonly Silent[] = [];
  /** Streams in which nothing can be left of what this host held in earlier lives. */
  readonly #settled = new Set<string>();

  constructor(parts: ClaimerParts) {
    this.#parts = parts;
    const { limits, clock } = parts.base;
    this.#suspicions = new Suspicions(limits.leaseMs);
    this.#passedOver = new PassedOver(limits.leaseMs, () => clock.nowMs());
  }

  get hasGivenOwn(): boolean {
    return this.#parts.base.options.streams.every((stream) => this.#settled.has(stream));
  }

  /** Does not ask for an entry for a while, once it is handed back. @param name its stream and its id, with a space between. */
  passOver(name: string): void {
    this.#passedOver.add(name);
  }

  /** After each new connection: answers may have been lost with the old one, and nobody could renew while Redis was away. */
  onUp(): void {
    this.#ownDueAtMs = Number.NEGATIVE_INFINITY;
    this.#suspicions.clear();
    this.#dead = [];
  }

  /**
   * Looks for what dead hosts held while there is room for nothing: it is to be taken before what is new, as soon as there is. Never
   * rejects.
   */
  async lookForDead(): Promise<void> {
    const { base, health } = this.#parts;
    if (base.connection.state.type !== "up") return;
    // What is wrong with a stream, whoever claims from it finds out.
    await this.#findDead(health.usable(base.options.streams), false).catch(() => undefined);
  }

  /** @returns at least one, or none after `waitMs`. @throws the signal's reason. */
  async claim(count: number, waitMs: number, signal: AbortSignal): Promise<readonly Claim[]> {
    const { base, arrivals } = this.#parts;
    const { clock, limits } = base;
    const untilMs = clock.nowMs() + waitMs;
    for (let inARow = 0; ; ) {
      signal.throwIfAborted();
      const { claims, marks, isWorthAsking } = await this.#ask(count);
      if (claims.length > 0) return claims;
      inARow = isWorthAsking ? inARow + 1 : 0;
      const leftMs = untilMs - clock.nowMs();
      if (leftMs <= 0) return [];
      if (isWorthAsking && inARow < IN_A_ROW) continue;
      const pauseMs = Math.min(leftMs, base.isCluster ? limits.clusterPollMs : limits.pollMs);
      if (base.connection.state.type !== "up") await this.#untilUp(pauseMs, signal);
      else if (arrivals === undefined) await sleep(pauseMs, signal);
      else await arrivals.wait(marks, pauseMs, signal);
    }
  }

  /** What stands for all streams where the whole question was refused; no stream's own name, also where there is only one. */
  get #all(): string {
    return `all of ${this.#parts.base.options.streams.join(", ")}`;
  }

  async #untilUp(waitMs: number, signal: AbortSignal): Promise<void> {
    const { connection } = this.#parts.base;
    const pause = new AbortController();
    const up = connection.untilUp(pause.signal).catch(() => undefined); // the pause is over
    try {
      await orAbort(Promise.race([up, sleep(waitMs, pause.signal).catch(() => undefined)]), signal);
    } finally {
      pause.abort();
    }
  }

  async #ask(count: number): Promise<Asked> {
    const { base, health, eviction } = this.#parts;
    if (base.connection.state.type !== "up") return NOTHING;
    const streams = health.usable(base.options.streams);
    if (streams.length === 0) return NOTHING;
    this.#rotation = (this.#rotation + 1) % streams.length;
    const turned = [...streams.slice(this.#rotation), ...streams.slice(0, this.#rotation)];
    const epoch = base.connection.epoch;
    try {
      const isRefused = !(await eviction.mayClaim());
      // What is our own already is no safer with nobody.
      if (isRefused && !this.#isOwnDue) return NOTHING;
      const dead = isRefused ? [] : await this.#findDead(turned, true);
      const asked = await this.#askPlaces(turned, count, dead, isRefused);
      health.worked(this.#all);
      return asked;
    } catch (error) {
      const type = failureOf(error);
      if (type === "defect") throw unavailable(reasonOf(error), error);
      // The claim may have been made and its answer lost.
      if (epoch !== base.connection.epoch) this.onUp();
      else this.#ownDueAtMs = Number.NEGATIVE_INFINITY;
      if (type === "stream") return await this.#askEach(turned, count);
      if (type === "settings") health.fell(this.#all, reasonOf(error));
      return NOTHING;
    }
  }

  /** A user who may not touch one stream may ask nothing that names it: asks for each alone, to find out which it is. */
  async #askEach(streams: readonly string[], count: number): Promise<Asked> {
    const claims: Claim[] = [];
    for (const stream of streams) {
      if (claims.length >= count) break;
      try {
        claims.push(...(await this.#askPlaces([stream], count - claims.length, [], false)).claims);
      } catch (error) {
        if (failureOf(error) !== "stream") break;
        this.#parts.health.fell(stream, reasonOf(error));
      }
    }
    return { claims, marks: [], isWorthAsking: false };
  }

  get #isOwnDue(): boolean {
    return this.#parts.base.clock.nowMs() >= this.#ownDueAtMs;
  }

  /** @param isOwnOnly only what an earlier life held is asked for. */
  async #askPlaces(
    streams: readonly string[],
    count: number,
    dead: readonly Silent[],
    isOwnOnly: boolean,
  ): Promise<Asked> {
    const { base, tally, held } = this.#parts;
    const isOwnDue = this.#isOwnDue;
    const claims: Claim[] = [];
    const marks: ClaimReply["marks"][number][] = [];
    let isWorthAsking = false;
    for (const place of base.places(streams)) {
      const left = count - claims.length;
      if (left <= 0) break;
      const more = {
        n: left,
        own: isOwnDue,
        only: isOwnOnly,
        held: [...held.keys()],
        take: dead.map(({ stream, entryId, consumer }) => [stream, entryId, consumer]),
        suffix: place.streams.map(streamSuffix),
        pass: this.#passedOver.names(),
      };
      const reply = readClaimReply(await base.run(CLAIM, place, place.streams, more), place.streams);
      claims.push(...reply.claims);
      marks.push(...reply.marks);
      tally.takenOver += reply.takenOver;
      tally.vanished += reply.vanished;
      if (reply.vanished > 0) base.options.log.log("warn", "queue.vanished", { entries: reply.vanished });
      if (isOwnDue) this.#settle(place.streams, reply, left);
      const isHealed = await this.#heal(place.streams, reply);
      isWorthAsking ||= isHealed || reply.over > 0 || reply.vanished > 0;
    }
    // As long as it fills what was asked for there may be more of our own.
    if (isOwnDue && claims.length < count) this.#ownDueAtMs = base.clock.nowMs() + base.limits.leaseMs;
    return { claims, marks, isWorthAsking };
  }

  /** Our own come first: where others came too, or fewer than were asked for, there are no more. */
  #settle(streams: readonly string[], { claims, failures }: ClaimReply, asked: number): void {
    if (failures.length > 0) return;
    if (claims.length >= asked && claims.every(({ isOwn }) => isOwn)) return;
    for (const stream of streams) this.#settled.add(stream);
  }

  /** @returns whether a stream can be read now that could not be before. */
  async #heal(streams: readonly string[], { failures }: ClaimReply): Promise<boolean> {
    const { health, healGroup } = this.#parts;
    const failed = new Map(failures.map(({ stream, reason }) => [stream, reason]));
    let isHealed = false;
    for (const stream of streams) {
      const reason = failed.get(stream);
      const type = reason === undefined ? undefined : failureOfText(reason);
      if (type === undefined) health.worked(stream);
      else if (type === "group") {
        await healGroup(stream);
        isHealed = true;
      } else if (type !== "retry") health.fell(stream, reason ?? "");
    }
    return isHealed;
  }

  /** @param isClaiming who only looks has no time for what a dead host left on its way. */
  async #findDead(streams: readonly string[], isClaiming: boolean): Promise<readonly Silent[]> {
    const { base } = this.#parts;
    const { leaseMs, strangerMs } = base.limits;
    const nowMs = base.clock.nowMs();
    if (nowMs < this.#scanDueAtMs) return this.#dead;
    this.#scanDueAtMs = nowMs + leaseMs / 6;
    const found: Silent[] = [];
    for (const place of base.places(streams)) {
      const from = place.streams.map((stream) => this.#scanFrom.get(stream) ?? "-");
      const more = { minIdle: Math.floor(leaseMs / 2), stranger: strangerMs, from };
      const [silent, next] = listOf(await base.run(SCAN, place, place.streams, more));
      found.push(...listOf(silent).map(readSilent));
      // What a host that died left on its way, where nobody else has anything to say.
      if (isClaiming) await carryOver(base, place);
      for (const [at, stream] of place.streams.entries()) {
        this.#scanFrom.set(stream, textOf(listOf(next)[at]) || "-");
      }
    }
    const isAll = [...this.#scanFrom.values()].every((from) => from === "-");
    this.#dead = this.#suspicions.judge(found, nowMs, isAll);
    return this.#dead;
  }
}

const NOTHING: Asked = { claims: [], marks: [], isWorthAsking: false };

function readSilent(reply: unknown): Silent {
  const [stream, entryId, consumer, idleMs] = listOf(reply);
  return {
    stream: textOf(stream),
    entryId: textOf(entryId),
    consumer: textOf(consumer),
    idleMs: Number(idleMs),
  };
}
