import { StringDecoder } from "node:string_decoder";
import type { LogChunk } from "../../../core/index.ts";
import type { Engine } from "../engine/engine.ts";
import { LogFrames } from "../engine/log-frames.ts";
import { ByteTail } from "./log-tail.ts";

type StreamName = LogChunk["stream"];

interface Entry {
  readonly stream: StreamName;
  readonly time: string;
  readonly payload: Buffer;
}

/**
 * The end of a container's log, then what comes. An engine can be asked for lines but not for bytes, so what there is is read
 * first, with its times, and the following begins at the last of them: nothing is lost or shown twice.
 */
export async function* followLog(
  engine: Engine,
  containerId: string,
  tailBytes: number,
  signal: AbortSignal,
): AsyncGenerator<LogChunk, void, undefined> {
  const past = readEntries(await engine.containers.readLog(containerId, { timestamps: true }, { signal }));
  const text = new Decoders();
  yield* text.decode(lastBytes(past, tailBytes));
  const lastTime = past.at(-1)?.time;
  // Several lines may carry one time: as many of them as were shown already are left out.
  let shown = past.filter((entry) => entry.time === lastTime).length;
  const query = { timestamps: true, ...(lastTime === undefined ? {} : { since: toEngineTime(lastTime) }) };
  const stream = await engine.containers.openLog(containerId, query, { signal });
  const onAbort = (): void => {
    stream.destroy(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    signal.throwIfAborted();
    const entries = new EntryReader();
    for await (const chunk of stream) {
      const fresh = entries.push(chunk as Buffer).filter(({ time }) => {
        if (lastTime === undefined || time > lastTime) return true;
        if (time === lastTime && shown === 0) return true;
        if (time === lastTime) shown -= 1;
        return false;
      });
      yield* text.decode(fresh);
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    stream.destroy();
  }
}

/** Reads frames that each begin with a time and a space; hands an entry out when its frame is whole or a piece of it came. */
class EntryReader {
  #entries: Entry[] = [];
  #time = "";
  #isTimeWhole = false;
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
    }
    let rest = payload;
    if (!this.#isTimeWhole) {
      const space = payload.indexOf(0x20);
      this.#time += payload.subarray(0, space < 0 ? payload.length : space).toString("latin1");
      if (space < 0) return;
      this.#isTimeWhole = true;
      rest = payload.subarray(space + 1);
    }
    this.#entries.push({ stream, time: this.#time, payload: Buffer.from(rest) });
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
