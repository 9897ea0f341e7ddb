const FIRST_BYTES = 16_384;
/** A sign and the sixteen digits of 2^53. */
const NUMBER_BYTES = 17;
const [ZERO, MINUS, COMMA, OPEN, CLOSE] = [48, 45, 44, 91, 93];
/** Up to here the digits are found with whole numbers of 32 bits, which is quicker. */
const SMALL = 2 ** 31;

/** Text that is written piece by piece into memory that is used again: nothing of it has to be collected. */
export class BlockBytes {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  #length = 0;

  /** Begins anew. */
  clear(): void {
    this.#length = 0;
  }

  /** What was written; valid until `clear`. */
  get text(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  put(text: string): void {
    // No character takes more than three bytes for each of its units.
    this.#makeRoom(text.length * 3);
    this.#length += this.#bytes.write(text, this.#length);
  }

  /** Bytes that are text already. */
  putBytes(bytes: Uint8Array): void {
    this.#makeRoom(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** A column: the one number that all of them are, or the first and then each one's difference from the one before it. */
  putColumn(values: Float64Array, count: number): void {
    this.#makeRoom(2 + count * (NUMBER_BYTES + 1));
    if (areEqual(values, count)) {
      this.#putNumber(values[0] ?? 0);
      return;
    }
    let before = 0;
    this.#bytes[this.#length++] = OPEN;
    for (let index = 0; index < count; index += 1) {
      const value = values[index] ?? 0;
      if (index > 0) this.#bytes[this.#length++] = COMMA;
      this.#putNumber(value - before);
      before = value;
    }
    this.#bytes[this.#length++] = CLOSE;
  }

  #putNumber(value: number): void {
    let rest = value;
    if (rest < 0) {
      this.#bytes[this.#length++] = MINUS;
      rest = -rest;
    }
    const end = this.#length + digitsOf(rest);
    let at = end;
    while (rest >= SMALL) {
      const tens = Math.floor(rest / 10);
      this.#bytes[--at] = ZERO + (rest - tens * 10);
      rest = tens;
    }
    let small = rest | 0;
    do {
      const tens = (small / 10) | 0;
      this.#bytes[--at] = ZERO + (small - tens * 10);
      small = tens;
    } while (at > this.#length);
    this.#length = end;
  }

  #makeRoom(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + bytes));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}

function areEqual(values: Float64Array, count: number): boolean {
  const first = values[0];
  for (let index = 1; index < count; index += 1) if (values[index] !== first) return false;
  return true;
}

function digitsOf(value: number): number {
  let digits = 1;
  for (let least = 10; value >= least; least *= 10) digits += 1;
  return digits;
}
