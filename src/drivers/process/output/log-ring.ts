import type { LogChunk, LogTail } from "../../../core/index.ts";

export type LogStream = LogChunk["stream"];

interface Segment {
  readonly stream: LogStream;
  readonly bytes: Buffer;
}

export interface LogListener {
  onOutput(stream: LogStream, bytes: Buffer): void;
  onEnd(): void;
}

/** What of one sandbox's output is kept in memory. */
export const LOG_RING_BYTES = 65_536;
/** Neighbouring output of one stream is joined up to this, so that single bytes cost bytes. */
const SEGMENT_BYTES = 4096;
/** Two streams that take turns byte by byte make many segments; the oldest go. */
const MOST_SEGMENTS = 1024;

/** The last {@link LOG_RING_BYTES} of a sandbox's output, and whoever follows it. Never grows, never waits, never throws. */
export class LogRing {
  readonly #listeners = new Set<LogListener>();
  #segments: Segment[] = [];
  #bytes = 0;
  #isTruncated = false;
  #hasEnded = false;

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  append(stream: LogStream, chunk: Buffer): void {
    for (const listener of this.#listeners) listener.onOutput(stream, chunk);
    const kept = chunk.length > LOG_RING_BYTES ? chunk.subarray(chunk.length - LOG_RING_BYTES) : chunk;
    if (kept.length < chunk.length) this.#isTruncated = true;
    const last = this.#segments.at(-1);
    if (last?.stream === stream && last.bytes.length + kept.length <= SEGMENT_BYTES)
      this.#segments[this.#segments.length - 1] = { stream, bytes: Buffer.concat([last.bytes, kept]) };
    // A copy: the chunk is a view on a much bigger read buffer that would stay alive with it.
    else this.#segments.push({ stream, bytes: Buffer.from(kept) });
    this.#bytes += kept.length;
    this.#trim();
  }

  end(): void {
    this.#hasEnded = true;
    for (const listener of this.#listeners) listener.onEnd();
    this.#listeners.clear();
  }

  /** Hears all output from now on; the returned function ends that. One that comes after the end hears only of it. */
  listen(listener: LogListener): () => void {
    if (this.#hasEnded) listener.onEnd();
    else this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The last output, at most `maxBytes` of UTF-8, beginning at a whole character. */
  tail(maxBytes: number): LogTail {
    const all = Buffer.concat(this.#segments.map(({ bytes }) => bytes));
    const text = lastText(all, maxBytes);
    return { text, isTruncated: this.#isTruncated || all.length > maxBytes };
  }

  /** The same, with the streams told apart. */
  tailChunks(maxBytes: number): readonly LogChunk[] {
    const chunks: LogChunk[] = [];
    let left = maxBytes;
    for (const { stream, bytes } of [...this.#segments].reverse()) {
      if (left <= 0) break;
      chunks.unshift({ stream, text: lastText(bytes, left) });
      left -= bytes.length;
    }
    return chunks.filter(({ text }) => text !== "");
  }

  #trim(): void {
    while (this.#bytes > LOG_RING_BYTES || this.#segments.length > MOST_SEGMENTS) {
      const [oldest] = this.#segments;
      if (oldest === undefined) return;
      this.#isTruncated = true;
      const over = this.#segments.length > MOST_SEGMENTS ? oldest.bytes.length : this.#bytes - LOG_RING_BYTES;
      if (over >= oldest.bytes.length) this.#segments.shift();
      else this.#segments[0] = { stream: oldest.stream, bytes: oldest.bytes.subarray(over) };
      this.#bytes -= Math.min(over, oldest.bytes.length);
    }
  }
}

function lastText(bytes: Buffer, maxBytes: number): string {
  const text = decodeFrom(bytes, Math.max(0, bytes.length - maxBytes));
  // Bytes that are no UTF-8 become three each; then fewer of them fit.
  const encoded = Buffer.from(text, "utf8");
  return encoded.length <= maxBytes ? text : decodeFrom(encoded, encoded.length - maxBytes);
}

function decodeFrom(bytes: Buffer, from: number): string {
  let start = from;
  // Steps over at most three bytes that continue a character cut in two.
  while (start > 0 && start < bytes.length && start - from < 3 && ((bytes[start] as number) & 0xc0) === 0x80)
    start += 1;
  return bytes.subarray(start).toString("utf8");
}
