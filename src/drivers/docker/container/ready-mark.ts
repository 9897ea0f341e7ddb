/** What a task prints when it has started (`contracts/meca.md` section 4). */
export const READY_MARK = "meca-init-done";

const MARK = Buffer.from(READY_MARK);

/** Finds the mark in output that comes in pieces. Keeps less than one mark of each stream. */
export class ReadyMark {
  readonly #ends = new Map<string, Buffer>();
  #isFound = false;

  get isFound(): boolean {
    return this.#isFound;
  }

  /** @returns whether the mark has been seen so far, with this piece. */
  see(stream: string, piece: Buffer): boolean {
    if (this.#isFound) return true;
    const end = this.#ends.get(stream);
    const text = end === undefined ? piece : Buffer.concat([end, piece]);
    this.#isFound = text.includes(MARK);
    // A copy: the piece belongs to whoever handed it in.
    this.#ends.set(stream, Buffer.from(text.subarray(Math.max(0, text.length - MARK.length + 1))));
    return this.#isFound;
  }
}
