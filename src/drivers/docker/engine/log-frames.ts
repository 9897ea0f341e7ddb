/** Takes a log apart that carries stdout and stderr in one stream. */
export interface FrameSink {
  /** A piece of one frame's payload, valid during the call; `isStart` for a frame's first piece. */
  onPayload(stream: "stdout" | "stderr", payload: Buffer, isStart: boolean): void;
}

const HEADER_SIZE = 8;

/**
 * Reads the frames of a container's log: 8 bytes (stream number, three zeros, the payload's length as a big-endian uint32),
 * then the payload. Keeps at most a part of one header; payloads are handed on as they come.
 *
 * @see Docker Engine API 1.41, "Attach to a container", section "Stream format".
 */
export class LogFrames {
  readonly #sink: FrameSink;
  readonly #header = Buffer.alloc(HEADER_SIZE);
  #headerLength = 0;
  #left = 0;
  #stream: "stdout" | "stderr" = "stdout";
  #isStart = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      rest = this.#left > 0 ? this.#takePayload(rest) : this.#takeHeader(rest);
    }
  }

  #takeHeader(chunk: Buffer): Buffer {
    const taken = chunk.copy(this.#header, this.#headerLength, 0, HEADER_SIZE - this.#headerLength);
    this.#headerLength += taken;
    if (this.#headerLength === HEADER_SIZE) {
      this.#headerLength = 0;
      this.#stream = this.#header[0] === 2 ? "stderr" : "stdout";
      this.#left = this.#header.readUInt32BE(4);
      this.#isStart = true;
    }
    return chunk.subarray(taken);
  }

  #takePayload(chunk: Buffer): Buffer {
    const taken = chunk.subarray(0, this.#left);
    this.#left -= taken.length;
    const isStart = this.#isStart;
    this.#isStart = false;
    this.#sink.onPayload(this.#stream, taken, isStart);
    return chunk.subarray(taken.length);
  }
}
