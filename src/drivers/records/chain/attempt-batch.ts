import type {
  AttemptDoor,
  AttemptFacts,
  AttemptRecord,
  AttemptTimes,
  CallEnd,
  GapReason,
  Reading,
  RunPlacement,
  StartTimes,
  UseSink,
} from "../../../core/index.ts";
import { ATTEMPT_DOORS, attemptFacts, CALL_ENDS, ExecutorError, READINGS } from "../../../core/index.ts";

/** Attempts in one batch. */
export const BATCH_ATTEMPTS = 4096;
/** What `nextRunId` gives: ids that sort by time. An id of another shape goes with the rarities. */
const PLAIN_ID = /^[0-9a-hjkmnp-tv-z]{26}$/;
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

const STARTS = ["warm", "thawed", "cold"] as const satisfies readonly RunPlacement["start"][];
/** Stands for a step that was not reached: no clock says it. */
const NEVER = -1;

/** What few attempts have. */
export interface Rarity {
  readonly id: string | undefined;
  readonly error: string | undefined;
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly start: StartTimes | undefined;
}

/** A batch on its way to the writer. */
export interface SentBatch {
  readonly numbers: Float64Array;
  readonly ids: Uint8Array;
  readonly count: number;
  readonly facts: readonly AttemptFacts[];
  readonly rarities: readonly Rarity[];
  /** From the clock of its times to microseconds since the epoch. */
  readonly offsetUs: number;
  /** Attempts that ended before these and could not be kept, by the reason. */
  readonly lost: Readonly<Partial<Record<GapReason, number>>>;
  /** Refusals that were only counted, by their code. */
  readonly counted: Readonly<Record<string, number>>;
}

/** One attempt as it comes out of a batch again. */
export interface SlotValues {
  readonly id: string;
  /** Whether ids of its kind sort by time. */
  readonly isPlainId: boolean;
  readonly times: AttemptTimes;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly status: number | undefined;
  readonly outcome: CallEnd;
  readonly door: AttemptDoor;
  readonly start: RunPlacement["start"] | undefined;
  readonly reading: Reading;
  readonly cpuUs: number | undefined;
  readonly peakBytes: number | undefined;
  readonly facts: number;
  readonly rarity: Rarity | undefined;
}

/** Memory for a batch. */
export interface BatchRoom {
  readonly numbers: Float64Array;
  readonly ids: Buffer;
}

export function makeRoom(): BatchRoom {
  return {
    numbers: new Float64Array(BATCH_ATTEMPTS * COLUMNS),
    ids: Buffer.alloc(BATCH_ATTEMPTS * ID_BYTES),
  };
}

/**
 * Room for some thousand attempts: adding one copies a few numbers and its id, and makes nothing that has to be
 * collected. What use it made of its sandbox is told later.
 */
export class AttemptBatch implements UseSink {
  /** Free for another batch once this one is sent. */
  readonly room: BatchRoom;
  readonly #numbers: Float64Array;
  readonly #ids: Buffer;
  readonly #facts: AttemptFacts[] = [];
  readonly #factsOf = new Map<string, number>();
  readonly #rarities: Rarity[] = [];
  #lastSandbox = "";
  #lastFacts = 0;
  #isSettled = false;
  count = 0;
  /** Attempts whose use is still to be told. */
  unmeasured = 0;
  /** Called when the last of them was told. */
  onMeasured: (() => void) | undefined;
  /** Called when it is sent. */
  onSent: (() => void) | undefined;

  constructor(room: BatchRoom) {
    this.room = room;
    this.#numbers = room.numbers;
    this.#ids = room.ids;
  }

  get isFull(): boolean {
    return this.count === BATCH_ATTEMPTS;
  }

  add(attempt: AttemptRecord): void {
    const slot = this.count;
    const numbers = this.#numbers;
    const at = slot * COLUMNS;
    const { id, place, times } = attempt;
    numbers[at + COLUMN.accepted] = times.acceptedAtMs;
    numbers[at + COLUMN.placed] = times.placedAtMs ?? NEVER;
    numbers[at + COLUMN.head] = times.headAtMs ?? NEVER;
    numbers[at + COLUMN.ended] = times.endedAtMs;
    numbers[at + COLUMN.bytesIn] = attempt.bytesIn;
    numbers[at + COLUMN.bytesOut] = attempt.bytesOut;
    numbers[at + COLUMN.status] = attempt.status ?? 0;
    numbers[at + COLUMN.kinds] =
      CALL_ENDS.indexOf(attempt.outcome) +
      (place === undefined ? STARTS.length : STARTS.indexOf(place.start)) * 4 +
      ATTEMPT_DOORS.indexOf(attempt.door) * 16 +
      READINGS.indexOf("none") * 64;
    numbers[at + COLUMN.facts] = this.#factsIndex(attempt);
    numbers[at + COLUMN.cpu] = Number.NaN;
    numbers[at + COLUMN.peak] = Number.NaN;
    const isPlain = PLAIN_ID.test(id);
    if (isPlain) this.#ids.write(id, slot * ID_BYTES, ID_BYTES, "latin1");
    const isRare = !isPlain || attempt.error !== undefined || times.start !== undefined;
    numbers[at + COLUMN.rarity] = isRare ? this.#rarities.push(rarityOf(attempt, isPlain)) - 1 : NEVER;
    this.count += 1;
    this.#askUse(attempt, slot);
  }

  measured(slot: number, cpuMs: number, peakBytes: number, reading: Reading): void {
    if (this.#isSettled) return;
    this.unmeasured -= 1;
    this.#setUse(slot, cpuMs, peakBytes, reading);
    if (this.unmeasured === 0) this.onMeasured?.();
  }

  /** What is not known by now stays unknown. */
  giveUpMeasuring(): void {
    if (this.unmeasured === 0) return;
    this.unmeasured = 0;
    this.#isSettled = true;
    this.onMeasured?.();
  }

  #askUse({ use, times: { placedAtMs, endedAtMs } }: AttemptRecord, slot: number): void {
    if (use === undefined) return;
    if (use.type === "known") {
      this.#setUse(slot, use.cpuMs, use.memoryPeakBytes ?? Number.NaN, "own");
      return;
    }
    if (placedAtMs === undefined) return;
    this.unmeasured += 1;
    use.meter.measure(placedAtMs, endedAtMs, use.wasAlone, this, slot);
  }

  #setUse(slot: number, cpuMs: number, peakBytes: number, reading: Reading): void {
    const at = slot * COLUMNS;
    const kinds = this.#numbers[at + COLUMN.kinds] ?? 0;
    this.#numbers[at + COLUMN.kinds] = (kinds & 63) + READINGS.indexOf(reading) * 64;
    this.#numbers[at + COLUMN.cpu] = cpuMs;
    this.#numbers[at + COLUMN.peak] = peakBytes;
  }

  /** What it holds. From now on it takes nothing more, and what is measured later is not known. */
  send(rest: Pick<SentBatch, "offsetUs" | "lost" | "counted">): SentBatch {
    this.#isSettled = true;
    this.onSent?.();
    const { count } = this;
    const numbers = this.#numbers.slice(0, count * COLUMNS);
    const ids = Uint8Array.prototype.slice.call(this.#ids, 0, count * ID_BYTES);
    return { numbers, ids, count, facts: this.#facts, rarities: this.#rarities, ...rest };
  }

  #factsIndex({ task, taskKey, place, gpuIds }: AttemptRecord): number {
    const name = place?.sandboxId ?? `task ${taskKey}`;
    if (name === this.#lastSandbox) return this.#lastFacts;
    let index = this.#factsOf.get(name);
    if (index === undefined) {
      index = this.#facts.push(attemptFacts(task, taskKey, place, gpuIds)) - 1;
      this.#factsOf.set(name, index);
    }
    this.#lastSandbox = name;
    this.#lastFacts = index;
    return index;
  }
}

function rarityOf({ id, error, times }: AttemptRecord, isPlain: boolean): Rarity {
  const ours = error === undefined ? undefined : ExecutorError.from(error);
  const { exitCode, signal } = (ours?.facts ?? {}) as {
    readonly exitCode?: unknown;
    readonly signal?: unknown;
  };
  const { start } = times;
  return {
    id: isPlain ? undefined : id,
    error: ours?.code,
    exitCode: Number.isSafeInteger(exitCode) ? (exitCode as number) : undefined,
    signal: typeof signal === "string" ? signal : undefined,
    // A story that goes on telling may not be sent.
    start: start && {
      beganAtMs: start.beganAtMs,
      resolvedAtMs: start.resolvedAtMs,
      endedAtMs: start.endedAtMs,
      phases: start.phases,
    },
  };
}

/** Reads a batch that was sent. */
export function* slotsOf({ numbers, ids: idBytes, count, rarities }: SentBatch): Generator<SlotValues> {
  const ids = Buffer.from(idBytes.buffer, idBytes.byteOffset, idBytes.byteLength);
  for (let slot = 0; slot < count; slot += 1) {
    const of = (column: number): number => numbers[slot * COLUMNS + column] ?? 0;
    const kinds = of(COLUMN.kinds);
    const rarity = rarities[of(COLUMN.rarity)];
    yield {
      id: rarity?.id ?? ids.toString("latin1", slot * ID_BYTES, (slot + 1) * ID_BYTES),
      isPlainId: rarity?.id === undefined,
      times: {
        acceptedAtMs: of(COLUMN.accepted),
        placedAtMs: step(of(COLUMN.placed)),
        headAtMs: step(of(COLUMN.head)),
        endedAtMs: of(COLUMN.ended),
        start: rarity?.start,
      },
      bytesIn: of(COLUMN.bytesIn),
      bytesOut: of(COLUMN.bytesOut),
      status: of(COLUMN.status) || undefined,
      outcome: CALL_ENDS[kinds & 3] ?? "failed",
      start: STARTS[(kinds >> 2) & 3],
      door: ATTEMPT_DOORS[(kinds >> 4) & 3] ?? "v1",
      reading: READINGS[kinds >> 6] ?? "none",
      cpuUs: known(of(COLUMN.cpu) * 1000),
      peakBytes: known(of(COLUMN.peak)),
      facts: of(COLUMN.facts),
      rarity,
    };
  }
}

function step(ms: number): number | undefined {
  return ms === NEVER ? undefined : ms;
}

function known(value: number): number | undefined {
  return Number.isNaN(value) ? undefined : Math.max(0, Math.round(value));
}
