const MIB = 2 ** 20;
/** S3 takes no smaller pieces but the last, and ten thousand of them. */
const FIRST_PIECE_BYTES = 8 * MIB;
const LATER_PIECE_BYTES = 32 * MIB;
const GROWS_AFTER_PIECES = 2_000;

/** Up to 16 GiB in pieces of 8 MiB, and up to 266 GiB beyond that: what goes into one request and is sent again if it fails. */
const sizeOfPiece = (index: number): number =>
  index < GROWS_AFTER_PIECES ? FIRST_PIECE_BYTES : LATER_PIECE_BYTES;

/** Memory for pieces that is used again: left to the collector, it would be many times what is on its way. */
export interface PieceMemory {
  take(bytes: number): Buffer;
  /** A piece that has been sent, whole or cut short; nobody may look at it any more. */
  give(piece: Buffer): void;
}

export function pieceMemory(): PieceMemory {
  const free: ArrayBufferLike[] = [];
  return {
    take(bytes) {
      const index = free.findIndex((one) => one.byteLength === bytes);
      const [found] = index < 0 ? [] : free.splice(index, 1);
      return found === undefined ? Buffer.from(new ArrayBuffer(bytes)) : Buffer.from(found);
    },
    give: (piece) => void free.push(piece.buffer),
  };
}

/** Whole pieces of a stream, in order; the last may be short, and is empty only when there is no other. */
export async function* inPieces(
  contents: AsyncIterable<Uint8Array>,
  memory: PieceMemory = pieceMemory(),
): AsyncIterable<Buffer> {
  let index = 0;
  let piece = memory.take(sizeOfPiece(index));
  let filled = 0;
  for await (const chunk of contents) {
    let at = 0;
    while (at < chunk.length) {
      const taken = Math.min(chunk.length - at, piece.length - filled);
      piece.set(chunk.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      if (filled === piece.length) {
        yield piece;
        piece = memory.take(sizeOfPiece((index += 1)));
        filled = 0;
      }
    }
  }
  if (filled > 0 || index === 0) yield piece.subarray(0, filled);
}

/** What was taken already, and then the rest. */
export async function* resumed(begun: readonly Buffer[], rest: AsyncIterator<Buffer>): AsyncIterable<Buffer> {
  yield* begun;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}
