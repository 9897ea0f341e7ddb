import type { AttemptFacts, AttemptRecord, Reading, UseSink } from "../../../core/index.ts";
import {
  ATTEMPT_DOORS,
  attemptFacts,
  CALL_ENDS,
  ExecutorError,
  keptFacts,
  READINGS,
} from "../../../core/index.ts";
import type { BatchRoom, Rarity, SentBatch } from "./attempt-rows.ts";
import {
  BATCH_ATTEMPTS,
  NEVER,
  PLAIN_ID_BYTES,
  packKinds,
  putPlainId,
  ROW,
  ROW_NUMBERS,
  STARTS,
  withReading,
} from "./attempt-rows.ts";

/** A batch of fewer attempts is copied on its way, so that many small ones that wait do not hold the memory of large ones. */
const FEW = BATCH_ATTEMPTS / 8;
const UNREAD = READINGS.indexOf("none");

/**
 * Room for some thousand attempts: adding one copies a few numbers and its id, and makes nothing that has to be
 * collected. What use it made of its sandbox is told later.
 */
export class AttemptBatch implements UseSink {
  /** Free for another batch once this one is written, or sent if it was copied. */
  readonly room: BatchRoom;
  readonly #numbers: Float64Array;
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

  constructor(room: BatchRoom) {
    this.room = room;
    this.#numbers = room.numbers;
  }

  get isFull(): boolean {
    return this.count === BATCH_ATTEMPTS;
  }

  /** Whether it goes on its way as a copy. */
  get isCopied(): boolean {
    return this.count < FEW;
  }

  add(attempt: AttemptRecord): void {
    const slot = this.count;
    const numbers = this.#numbers;
    const at = slot * ROW_NUMBERS;
    const { place, times, error } = attempt;
    const { placedAtMs, headAtMs, start } = times;
    numbers[at + ROW.accepted] = times.acceptedAtMs;
    numbers[at + ROW.placed] = placedAtMs ?? NEVER;
    numbers[at + ROW.head] = headAtMs ?? NEVER;
    numbers[at + ROW.ended] = times.endedAtMs;
    numbers[at + ROW.bytesIn] = attempt.bytesIn;
    numbers[at + ROW.bytesOut] = attempt.bytesOut;
    numbers[at + ROW.status] = attempt.status ?? 0;
    numbers[at + ROW.kinds] = packKinds(
      CALL_ENDS.indexOf(attempt.outcome),
      place === undefined ? STARTS.length : STARTS.indexOf(place.start),
      ATTEMPT_DOORS.indexOf(attempt.door),
      UNREAD,
    );
    numbers[at + ROW.facts] = this.#factsIndex(attempt);
    numbers[at + ROW.cpu] = Number.NaN;
    numbers[at + ROW.peak] = Number.NaN;
    const isPlain = putPlainId(this.room.ids, slot * PLAIN_ID_BYTES, attempt.id);
    const isRare = !isPlain || error !== undefined || start !== undefined;
    numbers[at + ROW.rarity] = isRare ? this.#rarities.push(rarityOf(attempt, isPlain)) - 1 : NEVER;
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

  /** What it holds. From now on it takes nothing more, and what is measured later is not known. */
  send(rest: Pick<SentBatch, "offsetUs" | "lost" | "counted">): SentBatch {
    this.#isSettled = true;
    const { count } = this;
    const numbers = this.#numbers.subarray(0, count * ROW_NUMBERS);
    const ids = this.room.ids.subarray(0, count * PLAIN_ID_BYTES);
    const rows = this.isCopied
      ? { numbers: new Float64Array(numbers), ids: new Uint8Array(ids) }
      : { numbers, ids };
    return { ...rows, count, facts: this.#facts, rarities: this.#rarities, ...rest };
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
    const at = slot * ROW_NUMBERS;
    const numbers = this.#numbers;
    numbers[at + ROW.kinds] = withReading(numbers[at + ROW.kinds] ?? 0, READINGS.indexOf(reading));
    numbers[at + ROW.cpu] = cpuMs;
    numbers[at + ROW.peak] = peakBytes;
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
    facts: keptFacts(ours),
    // A story that goes on telling may not be sent.
    start: start && {
      beganAtMs: start.beganAtMs,
      resolvedAtMs: start.resolvedAtMs,
      endedAtMs: start.endedAtMs,
      phases: start.phases,
    },
  };
}
