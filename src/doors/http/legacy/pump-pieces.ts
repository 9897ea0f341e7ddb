/** Where pieces go: a socket or a response. */
export interface PieceWriter {
  /** @returns whether more may follow at once; otherwise `resume` has to be called when there is room. */
  write(piece: Buffer): boolean;
  /** All pieces have been written. */
  end(): void;
}

export interface Pump {
  /** Goes on after the writer had no room. */
  resume(): void;
  /** Writes nothing more. */
  stop(): void;
}

/**
 * Makes and writes one piece for each turn of the loop, and none while the reader is behind: so an answer of any size takes
 * the memory of a few pieces, and holds up nobody else.
 */
export function pumpPieces(pieces: Generator<Buffer, void, undefined>, writer: PieceWriter): Pump {
  let isWaiting = false;
  let isOver = false;
  const turn = (): void => {
    if (isOver) return;
    const piece = pieces.next();
    if (piece.done === true) {
      isOver = true;
      writer.end();
      return;
    }
    isWaiting = !writer.write(piece.value);
    if (!isWaiting) setImmediate(turn);
  };
  setImmediate(turn);
  return {
    resume() {
      if (!isWaiting) return;
      isWaiting = false;
      turn();
    },
    stop() {
      isOver = true;
    },
  };
}
