import type { Clock, SandboxUsage, SandboxUse, UseSink } from "../../core/index.ts";
import { withDeadline } from "../../std/deadline.ts";
import { WaitingCalls } from "./waiting-calls.ts";

/** Readings of one sandbox are at least this far apart; calls that end closer together share one. */
const SPACING_MS = 50;
/** After a reading that served so many calls the next one waits longer: what they are told is a share of the same sum. */
const MANY_CALLS = 256;
const BUSY_SPACING_MS = 200;
/** After so long without a call the counters are read as the next one begins: what an idle task used is nobody's. */
const IDLE_MS = 100;
/** Counters that took longer to come were read nobody knows when; they count for when they came. */
const PROMPT_MS = 20;
const DEADLINE_MS = 2000;
/** Sums of times that differ by less are the same. */
const SAME_MS = 0.001;
/** Readings under way at once, over all sandboxes. */
const MOST_READINGS = 8;
/** Readings that are remembered, to tell the use of a long call from that of others; the older they are, the fewer. */
const MOST_POINTS = 256;
/** Calls of one sandbox that wait for its next reading; what comes on top is not measured. */
const MOST_WAITING = 16_384;

/** What the meters of all sandboxes share. */
export interface MeterHost {
  readonly clock: Clock;
  readings: number;
}

/** A moment, and the time that all calls together had had a slot by then. */
interface Moment {
  readonly atMs: number;
  readonly busyMs: number;
}

/** What a call that ran the whole time would have used until then. Between two points it grows evenly. */
interface Point {
  readonly atMs: number;
  readonly cpuMs: number;
}

/**
 * Reads one sandbox's counters and shares the difference between two readings out among the calls that ran between them, by
 * the time that each of them ran. A call that was alone so gets all of it; what the sandbox used while no call ran is nobody's.
 */
export class UseMeter implements SandboxUse {
  readonly #host: MeterHost;
  readonly #read: (signal: AbortSignal) => Promise<SandboxUsage>;
  #slots = 0;
  /** The sum, over all calls, of the time that they had a slot. */
  #busyMs = 0;
  #changedAtMs: number;
  #takes = 0;
  #waiting = new WaitingCalls();
  /** Of the reading before, to be used again. */
  #spare = new WaitingCalls();
  #points: Point[] = [];
  #last: { readonly atMs: number; readonly busyMs: number; readonly usage: SandboxUsage } | undefined;
  #spacingMs = SPACING_MS;
  #isReading = false;
  #isArmed = false;
  #isEnded = false;
  #readAtMs: number;

  constructor(host: MeterHost, read: (signal: AbortSignal) => Promise<SandboxUsage>) {
    this.#host = host;
    this.#read = read;
    this.#changedAtMs = host.clock.nowMs();
    this.#readAtMs = this.#changedAtMs;
    this.#begin();
  }

  /** A call takes a slot. @returns a ticket to ask `wasAlone` with. */
  took(nowMs: number): number {
    const wasIdle = this.#slots === 0 && nowMs - this.#changedAtMs >= IDLE_MS;
    this.#advance(nowMs);
    if (wasIdle) this.#beginSoon(this.#moment());
    this.#slots += 1;
    this.#takes += 1;
    return this.#slots === 1 ? this.#takes : 0;
  }

  gave(nowMs: number): void {
    this.#advance(nowMs);
    this.#slots -= 1;
  }

  /** Whether no other call has had a slot since that ticket was given. */
  wasAlone(ticket: number): boolean {
    return ticket === this.#takes;
  }

  measure(fromMs: number, toMs: number, wasAlone: boolean, sink: UseSink, token: number): void {
    if (this.#isEnded || this.#waiting.count >= MOST_WAITING) {
      sink.measured(token, Number.NaN, Number.NaN, "none");
      return;
    }
    this.#waiting.add(fromMs, toMs, wasAlone, sink, token);
    if (!this.#isArmed && !this.#isReading) this.#arm();
  }

  /** The sandbox is gone; who waits learns that nothing is known. */
  end(): void {
    this.#isEnded = true;
    if (!this.#isReading) this.#giveUp(this.#waiting);
  }

  #advance(nowMs: number): void {
    this.#busyMs += this.#slots * (nowMs - this.#changedAtMs);
    this.#changedAtMs = nowMs;
  }

  #arm(): void {
    if (this.#isArmed || this.#isReading || this.#waiting.count === 0) return;
    const { clock, readings } = this.#host;
    const restMs = readings < MOST_READINGS ? this.#readAtMs + this.#spacingMs - clock.nowMs() : SPACING_MS;
    if (restMs <= 0) {
      this.#beginSoon(this.#now());
      return;
    }
    this.#isArmed = true;
    clock.after(restMs, () => {
      this.#isArmed = false;
      if (this.#host.readings >= MOST_READINGS && !this.#isEnded) this.#arm();
      else this.#begin();
    });
  }

  /** Behind what runs now: an answer that is being sent, or a request, goes out first. It counts for this moment all the same. */
  #beginSoon(moment: Moment): void {
    queueMicrotask(() => this.#begin(moment));
  }

  #moment(): Moment {
    return { atMs: this.#changedAtMs, busyMs: this.#busyMs };
  }

  #begin(moment = this.#now()): void {
    if (this.#isReading || this.#isEnded) return;
    this.#isReading = true;
    this.#host.readings += 1;
    // It ends by itself, whatever happens.
    this.#take(moment).catch(() => undefined);
  }

  #now(): Moment {
    this.#advance(this.#host.clock.nowMs());
    return this.#moment();
  }

  async #take(begun: Moment): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = this.#spare;
    this.#spare = waiting;
    this.#spacingMs = waiting.count < MANY_CALLS ? SPACING_MS : BUSY_SPACING_MS;
    const deadline = { ms: DEADLINE_MS, code: "ENGINE_UNAVAILABLE", clock: this.#host.clock } as const;
    try {
      const usage = await withDeadline(deadline, (signal) => this.#read(signal));
      const isPrompt = this.#host.clock.nowMs() - begun.atMs < PROMPT_MS;
      this.#settle(isPrompt ? begun : this.#now(), usage, waiting);
    } catch {
      // Gone, or its engine does not answer: the call was answered all the same.
      this.#giveUp(waiting);
    } finally {
      this.#host.readings -= 1;
      this.#isReading = false;
      if (this.#isEnded) this.#giveUp(this.#waiting);
      else this.#arm();
    }
  }

  #settle(moment: Moment, usage: SandboxUsage, waiting: WaitingCalls): void {
    const { atMs } = moment;
    const last = this.#last;
    this.#last = { ...moment, usage };
    this.#readAtMs = atMs;
    if (last === undefined) {
      // The first reading is where counting begins: a start is not the first call's.
      this.#points = [{ atMs, cpuMs: 0 }];
      this.#giveUnread(waiting, usage.memoryPeakBytes);
      return;
    }
    const busyMs = moment.busyMs - last.busyMs;
    const perMs = busyMs > 0 ? Math.max(0, usage.cpuMs - last.usage.cpuMs) / busyMs : 0;
    const before = this.#points.at(-1)?.cpuMs ?? 0;
    this.#points.push({ atMs, cpuMs: before + perMs * (atMs - last.atMs) });
    if (this.#points.length > MOST_POINTS) this.#thinOut();
    const peakBytes = usage.memoryPeakBytes ?? Number.NaN;
    for (let index = 0; index < waiting.count; index += 1) {
      const [fromMs, toMs] = [waiting.fromMs(index), waiting.toMs(index)];
      // Nearly all ran between the two readings and nowhere else.
      const isWithin = fromMs >= last.atMs && toMs <= atMs;
      const cpuMs = isWithin ? perMs * (toMs - fromMs) : this.#at(toMs) - this.#at(fromMs);
      const ownMs = toMs - Math.max(fromMs, last.atMs);
      // Alone while it ran, and nobody else between the two readings either.
      const reading = waiting.wasAlone(index) && busyMs - ownMs < SAME_MS ? "own" : "shared";
      waiting.sink(index).measured(waiting.token(index), cpuMs, peakBytes, reading);
    }
    waiting.clear();
  }

  /** Forgets every other point of the older half. */
  #thinOut(): void {
    const half = MOST_POINTS / 2;
    this.#points = this.#points.filter((_, index) => index >= half || index % 2 === 0);
  }

  #giveUp(waiting: WaitingCalls): void {
    this.#giveUnread(waiting, undefined);
  }

  /** Calls of which nobody knows what CPU time they had: over before the first reading, or no reading came any more. */
  #giveUnread(waiting: WaitingCalls, memoryPeakBytes: number | undefined): void {
    for (let index = 0; index < waiting.count; index += 1) {
      waiting.sink(index).measured(waiting.token(index), Number.NaN, memoryPeakBytes ?? Number.NaN, "none");
    }
    waiting.clear();
  }

  #at(ms: number): number {
    const points = this.#points;
    let low = 0;
    let high = points.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((points[middle]?.atMs ?? 0) < ms) low = middle + 1;
      else high = middle;
    }
    const [from, to] = [points[low - 1], points[low]];
    if (to === undefined) return 0;
    if (from === undefined || to.atMs <= from.atMs || ms >= to.atMs) return to.cpuMs;
    return from.cpuMs + ((to.cpuMs - from.cpuMs) * (ms - from.atMs)) / (to.atMs - from.atMs);
  }
}
