import type { LogChunk } from "../../core/index.ts";
import type { RunningJob } from "../../engine/jobs/jobs.ts";

/** How long output that was printed before the end may take to arrive after it. */
const LATE_MS = 2_000;

/** What a job prints, as the files that its script did not write itself; empty ones are left out. */
export interface OutputCapture {
  /** Waits a moment for what was printed last. */
  finish(): Promise<Readonly<Record<string, Uint8Array>>>;
}

/** Follows a job's output from now on (and what of it is still known), within bounds. */
export function captureOutput(running: RunningJob, maxBytes: number): OutputCapture {
  const stop = new AbortController();
  const streams = { stdout: new BothEnds(maxBytes), stderr: new BothEnds(maxBytes) };
  const followed = follow(running.followLog(maxBytes, stop.signal), streams);
  return {
    async finish() {
      const timer = setTimeout(() => stop.abort(), LATE_MS);
      await followed;
      clearTimeout(timer);
      const files = Object.entries(streams).map(
        ([name, text]) => [`artifacts/${name}.txt`, text.bytes()] as const,
      );
      return Object.fromEntries(files.filter(([, bytes]) => bytes.length > 0));
    },
  };
}

async function follow(
  chunks: AsyncIterable<LogChunk>,
  streams: Readonly<Record<LogChunk["stream"], BothEnds>>,
): Promise<void> {
  try {
    for await (const { stream, text } of chunks) streams[stream].add(Buffer.from(text));
  } catch {
    // A log that cannot be read costs the job nothing but its log.
  }
}

/** The first and the last half of what may be long: the beginning says what was run, the end how it failed. */
export class BothEnds {
  readonly #half: number;
  readonly #head: Buffer[] = [];
  #headBytes = 0;
  readonly #tail: Buffer[] = [];
  #tailBytes = 0;
  #left = 0;

  constructor(maxBytes: number) {
    this.#half = Math.max(1, Math.floor(maxBytes / 2));
  }

  add(bytes: Buffer): void {
    const room = this.#half - this.#headBytes;
    if (room > 0) {
      const piece = bytes.subarray(0, room);
      this.#head.push(piece);
      this.#headBytes += piece.length;
    }
    if (bytes.length > room) this.#addLater(bytes.subarray(Math.max(0, room)));
  }

  bytes(): Buffer {
    const mark = this.#left === 0 ? [] : [Buffer.from(`\n[${this.#left} bytes are left out here]\n`)];
    return Buffer.concat([...this.#head, ...mark, ...this.#tail]);
  }

  #addLater(bytes: Buffer): void {
    this.#tail.push(bytes);
    this.#tailBytes += bytes.length;
    let spare = this.#tailBytes - this.#half;
    while (spare > 0) {
      const first = this.#tail[0];
      if (first === undefined) return;
      const cut = Math.min(spare, first.length);
      if (cut === first.length) this.#tail.shift();
      else this.#tail[0] = first.subarray(cut);
      this.#tailBytes -= cut;
      this.#left += cut;
      spare -= cut;
    }
  }
}
