import { digestOf, linkHash } from "../../../std/receipts/index.ts";
import { HASH_BYTES } from "./chain-text.ts";
import type { NewEntry } from "./new-entry.ts";

/** An entry has some 800 bytes; the memory grows with what comes. */
const FIRST_BYTES = 4096;

/** A block as it is stored. */
export interface ClosedBlock {
  readonly count: number;
  /** The entries, one per line. */
  readonly text: Buffer;
  readonly hashes: Buffer;
  /** Of ids that sort by time; empty where there is none. */
  readonly minId: string;
  readonly maxId: string;
  readonly fromUs: number;
  readonly toUs: number;
  readonly otherIds: readonly string[];
}

/** Takes the entries of a block. Their text is written into one piece of memory at once, so that nothing of them stays behind. */
export class OpenBlock {
  #text = Buffer.allocUnsafe(FIRST_BYTES);
  #length = 0;
  #ends: number[] = [];
  #minId = "";
  #maxId = "";
  #fromUs = Number.MAX_SAFE_INTEGER;
  #toUs = 0;
  #otherIds: string[] = [];

  get count(): number {
    return this.#ends.length;
  }

  add({ text, id, isPlainId, acceptedAtUs }: NewEntry): void {
    // No character takes more than three bytes for each of its units.
    this.#makeRoom(text.length * 3 + 1);
    if (this.#length > 0) this.#text[this.#length++] = 10; // the line's end
    this.#length += this.#text.write(text, this.#length);
    this.#ends.push(this.#length);
    this.#fromUs = Math.min(this.#fromUs, acceptedAtUs);
    this.#toUs = Math.max(this.#toUs, acceptedAtUs);
    if (isPlainId) {
      if (this.#minId === "" || id < this.#minId) this.#minId = id;
      if (id > this.#maxId) this.#maxId = id;
    } else if (id !== "") this.#otherIds.push(id);
  }

  /** What it holds, linked to what stands before it. Then it is empty. */
  take(prev: Buffer): ClosedBlock {
    const hashes = Buffer.allocUnsafe(this.count * HASH_BYTES);
    let [head, start] = [prev, 0];
    for (const [index, end] of this.#ends.entries()) {
      head = linkHash(head, digestOf(this.#text.subarray(start, end)));
      hashes.set(head, index * HASH_BYTES);
      start = end + 1;
    }
    const closed = {
      count: this.count,
      text: this.#text.subarray(0, this.#length),
      hashes,
      minId: this.#minId,
      maxId: this.#maxId,
      fromUs: this.#fromUs,
      toUs: this.#toUs,
      otherIds: this.#otherIds,
    };
    this.#forget();
    return closed;
  }

  #forget(): void {
    this.#length = 0;
    this.#ends = [];
    [this.#minId, this.#maxId, this.#otherIds] = ["", "", []];
    [this.#fromUs, this.#toUs] = [Number.MAX_SAFE_INTEGER, 0];
  }

  #makeRoom(bytes: number): void {
    if (this.#length + bytes <= this.#text.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#text.length * 2, this.#length + bytes));
    this.#text.copy(grown, 0, 0, this.#length);
    this.#text = grown;
  }
}
