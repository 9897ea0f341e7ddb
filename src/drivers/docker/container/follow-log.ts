import { StringDecoder } from "node:string_decoder";
import type { LogChunk } from "../../../core/index.ts";
import type { Engine } from "../engine/engine.ts";
import { LogFrames } from "../engine/log-frames.ts";
import { ByteTail } from "./log-tail.ts";

type StreamName = LogChunk["stream"];

interface Entry {
  readonly stream: StreamName;
  /** Whether a line begins with it; a long one may come in pieces. */
  readonly isStart: boolean;
  readonly time: string;
  readonly payload: Buffer;
}

/** How far somebody has read a log: the time of the last line, and how many lines carry it, for several may. */
export class LogPlace {
  /** Whether the log could be opened at all. */
  wasOpened = false;
  #time: string | undefined;
  #lines = 0;

  get time(): string | undefined {
    return this.#time;
  }

  get lines(): number {
    return this.#lines;
  }

  pass({ time, isStart }: Entry): void {
    if (time !== this.#time) this.#lines = 0;
    this.#time = time;
    if (isStart) this.#lines += 1;
  }
}

/**
 * The end of a container's log, then what comes. An engine can be asked for lines but not for bytes, so what there is is read
 * first, with its times, and the following begins at the last of them: nothing is lost or shown twice.
 *
 * @param place where the reader begins to be told how far it has come; for `followFrom`, when this breaks off.
 */
export async function* followLog(
  engine: Engine,
  containerId: string,
  tailBytes: number,
  signal: AbortSignal,
  place: LogPlace = new LogPlace(),
): AsyncGenerator<LogChunk, void, undefined> {
  const past = readEntries(await engine.containers.readLog(containerId, { timestamps: true }, { signal }));
  for (const entry of past) place.pass(entry);
  yield* new Decoders().decode(lastBytes(past, tailBytes));
  yield* followFrom(engine, containerId, place, signal);
}

/** What came after a place in the log, and what comes. */
export async function* followFrom(
  engine: Engine,
  containerId: string,
  place: LogPlace,
  signal: AbortSignal,
): AsyncGenerator<LogChunk, void, undefined> {
  const isNew = newerThan(place);
  const text = new Decoders();
  const { time } = place;
  const query = { timestamps: true, ...(time === undefined ? {} : { since: toEngineTime(time) }) };
  const stream = await engine.containers.openLog(containerId, query, { signal });
  const onAbort = (): void => {
    stream.destroy(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    signal.throwIfAborted();
    place.wasOpened = true;
    const entries = new EntryReader();
    for await (const chunk of stream) {
      const fresh = entries.push(chunk as Buffer).filter(isNew);
      for (const entry of fresh) place.pass(entry);
      yield* text.decode(fresh);
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    stream.destroy();
  }
}

/** Whether an entry has not been passed yet: as many lines of the last time as were shown already are left out. */
function newerThan({ time: last, lines }: LogPlace): (entry: Entry) => boolean {
  let left = lines;
  let isLineNew = false;
  return ({ time, isStart }) => {
    if (!isStart) return isLineNew;
    isLineNew = last === undefined || time > last || (time === last && left === 0);
    if (time === last && left > 0) left -= 1;
    return isLineNew;
  };
}

/** Reads frames that each begin with a time and a space; hands an entry out when its frame is whole or a piece of it came. */
class EntryReader {
  #entries: Entry[] = [];
  #time = "";
  #isTimeWhole = false;
  #isStart = false;
  readonly #frames = new LogFrames({
    onPayload: (stream, payload, isStart) => this.#take(stream, payload, isStart),
  });

  push(chunk: Buffer): readonly Entry[] {
    this.#frames.push(chunk);
    const entries = this.#entries;
    this.#entries = [];
    return entries;
  }

  #take(stream: StreamName, payload: Buffer, isStart: boolean): void {
    if (isStart) {
      this.#time = "";
      this.#isTimeWhole = false;
      this.#isStart = true;
    }
    let rest = payload;
    if (!this.#isTimeWhole) {
      const space = payload.indexOf(0x20);
      this.#time += payload.subarray(0, space < 0 ? payload.length : space).toString("latin1");
      if (space < 0) return;
      this.#isTimeWhole = true;
      rest = payload.subarray(space + 1);
    }
    this.#entries.push({ stream, isStart: this.#isStart, time: this.#time, payload: Buffer.from(rest) });
    this.#isStart = false;
  }
}

function readEntries(log: Buffer): readonly Entry[] {
  return new EntryReader().push(log);
}

/** The entries that make up the last bytes; the first of them cut to fit. */
function lastBytes(entries: readonly Entry[], maxBytes: number): readonly Entry[] {
  const kept: Entry[] = [];
  let room = maxBytes;
  for (let index = entries.length - 1; index >= 0 && room > 0; index -= 1) {
    const entry = entries[index];
    if (entry === undefined) break;
    const tail = new ByteTail(room);
    tail.push(entry.payload);
    kept.push({ ...entry, payload: Buffer.from(tail.tail().text) });
    room -= entry.payload.length;
  }
  return kept.reverse();
}

/** One decoder a stream, so that a character may come in two pieces. */
class Decoders {
  readonly #decoders = { stdout: new StringDecoder("utf8"), stderr: new StringDecoder("utf8") };

  decode(entries: readonly Entry[]): readonly LogChunk[] {
    return entries
      .map(({ stream, payload }) => ({ stream, text: this.#decoders[stream].write(payload) }))
      .filter(({ text }) => text !== "");
  }
}

/** `2026-01-02T03:04:05.123456789Z` in seconds since the epoch with all its digits. */
function toEngineTime(time: string): string {
  const fraction = /\.(\d+)/.exec(time)?.[1] ?? "0";
  return `${Math.floor(Date.parse(time) / 1000)}.${fraction.padEnd(9, "0")}`;
}
