import type { LogTail } from "../../../core/index.ts";
import type { CallOptions } from "../engine/caller.ts";
import type { Engine } from "../engine/engine.ts";
import { LogFrames } from "../engine/log-frames.ts";

/** Keeps the end of a stream of bytes, in at most twice the memory it may fill. */
export class ByteTail {
  readonly #maxBytes: number;
  #pieces: Buffer[] = [];
  #heldBytes = 0;
  #seenBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(piece: Buffer): void {
    this.#seenBytes += piece.length;
    const kept = Buffer.from(piece.subarray(Math.max(0, piece.length - this.#maxBytes)));
    this.#pieces.push(kept);
    this.#heldBytes += kept.length;
    if (this.#heldBytes > 2 * this.#maxBytes) {
      this.#pieces = [this.#end()];
      this.#heldBytes = this.#pieces[0]?.length ?? 0;
    }
  }

  /** The end as text of at most `maxBytes` bytes of UTF-8; a character that was cut in two is left out. */
  tail(): LogTail {
    let text = wholeCharacters(this.#end());
    // Bytes that are no UTF-8 take more room as text than they came in.
    while (Buffer.byteLength(text) > this.#maxBytes) {
      text = wholeCharacters(Buffer.from(text).subarray(Buffer.byteLength(text) - this.#maxBytes));
    }
    return { text, isTruncated: this.#seenBytes > this.#maxBytes };
  }

  #end(): Buffer {
    const all = Buffer.concat(this.#pieces);
    return all.subarray(Math.max(0, all.length - this.#maxBytes));
  }
}

/** Reads the end of a container's log, both streams in the order in which they came. */
export async function readLogTail(
  engine: Engine,
  containerId: string,
  maxBytes: number,
  options: CallOptions,
): Promise<LogTail> {
  const tail = new ByteTail(maxBytes);
  const frames = new LogFrames({ onPayload: (_, payload) => tail.push(payload) });
  frames.push(await engine.containers.readLog(containerId, {}, options));
  return tail.tail();
}

function wholeCharacters(bytes: Buffer): string {
  let start = 0;
  while (start < Math.min(3, bytes.length) && ((bytes[start] ?? 0) & 0xc0) === 0x80) start += 1;
  return bytes.subarray(start).toString("utf8");
}
