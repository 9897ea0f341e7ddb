import type { AttemptFacts, CallEnd, CallStory, Reading, StartTimes, UseSink } from "../../../core/index.ts";
import { attemptFacts, CALL_ENDS, DOOR_NAMES, ExecutorError, READINGS } from "../../../core/index.ts";

/** Attempts in one batch. */
export const BATCH_ATTEMPTS = 4096;
/** What `nextRunId` gives. An id of another length goes with the rarities. */
const ID_BYTES = 26;
/** Numbers of one attempt, in the order of `COLUMN`. */
const COLUMNS = 12;
const COLUMN = {
  accepted: 0,
  placed: 1,
  head: 2,
  ended: 3,
  bytesIn: 4,
  bytesOut: 5,
  status: 6,
  kinds: 7,
  facts: 8,
  rarity: 9,
  cpu: 10,
  peak: 11,
} as const;
const NUMBER_BYTES = BATCH_ATTEMPTS * COLUMNS * 8;
export const BATCH_BYTES = NUMBER_BYTES + BATCH_ATTEMPTS * ID_BYTES;

const STARTS = ["warm", "thawed", "cold"] as const;

/** What few attempts have. */
export interface Rarity {
  readonly id: string | undefined;
  readonly error: string | undefined;
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly start: StartTimes | undefined;
}

/** A batch on its way to the writer; its buffer is handed over, not copied. */
export interface SentBatch {
  readonly buffer: ArrayBuffer;
  readonly count: number;
  readonly facts: readonly AttemptFacts[];
  readonly rarities: readonly Rarity[];
  /** From the clock of its times to microseconds since the epoch. */
  readonly offsetUs: number;
  /** Attempts that ended before these and could not be kept. */
  readonly lost: number;
  /** Refusals that were only counted, by their code. */
  readonly counted: Readonly<Record<string, number>>;
}

/** One attempt as it comes out of a batch again; times in microseconds of the batch's clock. */
export interface SlotValues {
  readonly id: string;
  readonly acceptedUs: number;
  readonly placedUs: number | undefined;
  readonly headUs: number | undefined;
  readonly endedUs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly status: number | undefined;
  readonly end: CallEnd;
  readonly door: (typeof DOOR_NAMES)[number];
  readonly start: (typeof STARTS)[number] | undefined;
  readonly reading: Reading;
  readonly cpuUs: number | undefined;
  readonly peakBytes: number | undefined;
  readonly facts: number;
  readonly rarity: Rarity | undefined;
}

/**
 * Room for some thousand attempts, made once: adding one copies a few numbers and its id, and makes nothing that has to be
 * collected. What use it made of its sandbox is told later.
 */
export class AttemptBatch implements UseSink {
  readonly #numbers: Float64Array;
  readonly #ids: Buffer;
  readonly #buffer: ArrayBuffer;
  readonly #facts: AttemptFacts[] = [];
  readonly #factsOf = new Map<string, number>();
  readonly #rarities: Rarity[] = [];
  #lastSandbox = "";
  #lastFacts = 0;
  #isSent = false;
  count = 0;
  /** Attempts whose use is still to be told. */
  unmeasured = 0;

  constructor(buffer: ArrayBuffer) {
    this.#buffer = buffer;
    this.#numbers = new Float64Array(buffer, 0, BATCH_ATTEMPTS * COLUMNS);
    this.#ids = Buffer.from(buffer, NUMBER_BYTES);
  }

  get isFull(): boolean {
    return this.count === BATCH_ATTEMPTS;
  }

  add(call: CallStory, endedAtMs: number, newId: () => string): void {
    const slot = this.count;
    const numbers = this.#numbers;
    const at = slot * COLUMNS;
    const { placement, use, placedAtMs = 0 } = call;
    numbers[at] = call.acceptedAtMs;
    numbers[at + COLUMN.placed] = placedAtMs;
    numbers[at + COLUMN.head] = call.headAtMs ?? 0;
    numbers[at + COLUMN.ended] = endedAtMs;
    numbers[at + COLUMN.bytesIn] = call.bytesIn;
    numbers[at + COLUMN.bytesOut] = call.bytesOut;
    numbers[at + COLUMN.status] = call.status ?? 0;
    numbers[at + COLUMN.kinds] =
      CALL_ENDS.indexOf(call.end ?? "failed") +
      (placement === undefined ? 3 : STARTS.indexOf(placement.start)) * 4 +
      DOOR_NAMES.indexOf(call.door) * 16 +
      READINGS.indexOf("none") * 64;
    numbers[at + COLUMN.facts] = this.#factsIndex(call);
    numbers[at + COLUMN.cpu] = Number.NaN;
    numbers[at + COLUMN.peak] = Number.NaN;
    const id = call.runId ?? newId();
    const isPlain = id.length === ID_BYTES;
    if (isPlain) this.#ids.write(id, slot * ID_BYTES, ID_BYTES, "latin1");
    const isRare = !isPlain || call.error !== undefined || (placement !== undefined && placement.start !== "warm");
    numbers[at + COLUMN.rarity] = isRare
      ? this.#rarities.push(rarityOf(call, isPlain ? undefined : id)) - 1
      : -1;
    this.count += 1;
    if (use !== undefined) {
      this.unmeasured += 1;
      use.measure(placedAtMs, endedAtMs, call.wasAlone, this, slot);
    }
  }

  measured(slot: number, cpuMs: number, peakBytes: number, reading: Reading): void {
    if (this.#isSent) return;
    this.unmeasured -= 1;
    const at = slot * COLUMNS;
    const kinds = this.#numbers[at + COLUMN.kinds] ?? 0;
    this.#numbers[at + COLUMN.kinds] = (kinds & 63) + READINGS.indexOf(reading) * 64;
    this.#numbers[at + COLUMN.cpu] = cpuMs;
    this.#numbers[at + COLUMN.peak] = peakBytes;
  }

  /** The batch is at its end: its buffer belongs to whoever gets this. */
  send(rest: Pick<SentBatch, "offsetUs" | "lost" | "counted">): SentBatch {
    this.#isSent = true;
    const { count } = this;
    return { buffer: this.#buffer, count, facts: this.#facts, rarities: this.#rarities, ...rest };
  }

  #factsIndex(call: CallStory): number {
    const { placement } = call;
    const name = placement?.sandboxId ?? `task ${call.taskKey}`;
    if (name === this.#lastSandbox) return this.#lastFacts;
    let index = this.#factsOf.get(name);
    if (index === undefined) {
      const place = placement === undefined ? undefined : { ...placement, gpuIds: call.gpuIds };
      index = this.#facts.push(attemptFacts(call.task, place)) - 1;
      this.#factsOf.set(name, index);
    }
    this.#lastSandbox = name;
    this.#lastFacts = index;
    return index;
  }
}

function rarityOf({ error, placement, start }: CallStory, id: string | undefined): Rarity {
  const ours = error === undefined ? undefined : ExecutorError.from(error);
  const { exitCode, signal } = (ours?.facts ?? {}) as { readonly exitCode?: unknown; readonly signal?: unknown };
  const waited = placement?.start === "cold" ? start : undefined;
  return {
    id,
    error: ours?.code,
    exitCode: Number.isSafeInteger(exitCode) ? (exitCode as number) : undefined,
    signal: typeof signal === "string" ? signal : undefined,
    start:
      waited === undefined
        ? undefined
        : {
            beganUs: toUs(waited.beganAtMs),
            resolvedUs: waited.resolvedAtMs === undefined ? undefined : toUs(waited.resolvedAtMs),
            endedUs: waited.endedAtMs === undefined ? undefined : toUs(waited.endedAtMs),
            phases: waited.phases,
          },
  };
}

/** Reads a batch that was sent. */
export function* slotsOf({ buffer, count, rarities }: SentBatch): Generator<SlotValues> {
  const numbers = new Float64Array(buffer, 0, BATCH_ATTEMPTS * COLUMNS);
  const ids = Buffer.from(buffer, NUMBER_BYTES);
  for (let slot = 0; slot < count; slot += 1) {
    const of = (column: number): number => numbers[slot * COLUMNS + column] ?? 0;
    const kinds = of(COLUMN.kinds);
    const rarity = rarities[of(COLUMN.rarity)];
    yield {
      id: rarity?.id ?? ids.toString("latin1", slot * ID_BYTES, (slot + 1) * ID_BYTES),
      acceptedUs: toUs(of(COLUMN.accepted)),
      placedUs: step(of(COLUMN.placed)),
      headUs: step(of(COLUMN.head)),
      endedUs: toUs(of(COLUMN.ended)),
      bytesIn: of(COLUMN.bytesIn),
      bytesOut: of(COLUMN.bytesOut),
      status: of(COLUMN.status) || undefined,
      end: CALL_ENDS[kinds & 3] ?? "failed",
      door: DOOR_NAMES[(kinds >> 4) & 3] ?? "http",
      start: STARTS[(kinds >> 2) & 3],
      reading: READINGS[kinds >> 6] ?? "none",
      cpuUs: known(of(COLUMN.cpu) * 1000),
      peakBytes: known(of(COLUMN.peak)),
      facts: of(COLUMN.facts),
      rarity,
    };
  }
}

function toUs(ms: number): number {
  return Math.round(ms * 1000);
}

function step(ms: number): number | undefined {
  return ms === 0 ? undefined : toUs(ms);
}

function known(value: number): number | undefined {
  return Number.isNaN(value) ? undefined : Math.max(0, Math.round(value));
}
