import type { HostEvent } from "../../../contract/v1/events.ts";
import { SSE_TYPE } from "../../../contract/v1/route.ts";
import type { StreamType } from "../answer/event-streams.ts";

/** An event without what the ring adds. */
export type NewEvent = HostEvent extends infer E
  ? E extends HostEvent
    ? Omit<E, "id" | "at">
    : never
  : never;

/** One thing that happened; encoded at most once for each kind of stream, whoever reads it. */
export interface Entry {
  readonly seq: number;
  readonly event: HostEvent;
  print(type: StreamType): string;
}

/** What a reader gets next. `lost`: events in between are gone. */
export interface Reading {
  readonly entries: readonly Entry[];
  readonly isLost: boolean;
  /** Where to go on. */
  readonly next: number;
}

/** The last events, for whoever comes late or comes back. Memory is bounded by the number of events, each of which is small. */
export class EventRing {
  readonly life: string;
  readonly #capacity: number;
  readonly #nowMs: () => number;
  readonly #slots: (Entry | undefined)[];
  readonly #waiting = new Set<() => void>();
  #next = 1;

  /** @param life names this life of the daemon, so that ids of another one are told apart. */
  constructor(life: string, capacity: number, nowMs: () => number) {
    this.life = life;
    this.#capacity = capacity;
    this.#nowMs = nowMs;
    this.#slots = new Array<Entry | undefined>(capacity);
  }

  /** The number that the next event will have; the first is 1. */
  get next(): number {
    return this.#next;
  }

  get oldest(): number {
    return Math.max(1, this.#next - this.#capacity);
  }

  append(event: NewEvent): void {
    const seq = this.#next;
    this.#slots[seq % this.#capacity] = this.entry(seq, event);
    this.#next += 1;
    if (this.#waiting.size === 0) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** An event that is not kept: for one reader alone. */
  entry(seq: number, event: NewEvent): Entry {
    const at = new Date(this.#nowMs()).toISOString();
    return new RingEntry(seq, { id: `${this.life}.${seq}`, at, ...event });
  }

  /** Up to `most` events from number `from` on. */
  read(from: number, most: number): Reading {
    const isLost = from < this.oldest;
    const first = isLost ? this.oldest : from;
    const last = Math.min(this.#next, first + most);
    const entries: Entry[] = [];
    for (let seq = first; seq < last; seq += 1) {
      const entry = this.#slots[seq % this.#capacity];
      if (entry !== undefined) entries.push(entry);
    }
    return { entries, isLost, next: last };
  }

  /** Where a reader who has seen `id` goes on; why that cannot be told, of an id that is of another life or that no event has had. */
  after(id: string): number | "restarted" | "unknown" {
    const match = /^(.+)\.(\d{1,15})$/.exec(id);
    if (match === null) return "unknown";
    if (match[1] !== this.life) return "restarted";
    const seq = Number(match[2]);
    return seq < this.#next ? seq + 1 : "unknown";
  }

  /** Resolves at the next event, or once the signal aborts, or after `ms`. */
  wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#waiting.add(done);
      signal.addEventListener("abort", done, { once: true });
      if (signal.aborted) done();
    });
  }
}

class RingEntry implements Entry {
  readonly seq: number;
  readonly event: HostEvent;
  #json: string | undefined;
  #sse: string | undefined;

  constructor(seq: number, event: HostEvent) {
    this.seq = seq;
    this.event = event;
  }

  print(type: StreamType): string {
    this.#json ??= JSON.stringify(this.event);
    if (type !== SSE_TYPE) return `${this.#json}\n`;
    this.#sse ??= `id: ${this.event.id}\nevent: ${this.event.type}\ndata: ${this.#json}\n\n`;
    return this.#sse;
  }
}
