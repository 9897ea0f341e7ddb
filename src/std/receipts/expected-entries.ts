import type { CanonicalValue, ChainEntry } from "../../core/index.ts";
import { canonical, ReadBlock } from "../../core/index.ts";

/** An entry as a block has it. */
export interface ExpectedEntry {
  readonly entry: ChainEntry;
  /** Its canonical text. */
  readonly text: string;
}

/** What a block says that its entries are, told one after the other. */
export class ExpectedEntries {
  readonly first: number;
  readonly last: number;
  /** The `seq` of the one that comes next. */
  next: number;
  readonly #block: ReadBlock;

  /** @throws Error for what is no block. */
  constructor(text: string) {
    this.#block = new ReadBlock(text);
    this.first = this.#block.first;
    this.last = this.#block.last;
    this.next = this.first;
  }

  /** @returns `undefined` for what is no entry, and where there is none. */
  at(seq: number): ExpectedEntry | undefined {
    try {
      const entry = this.#block.entry(seq - this.first);
      return { entry, text: canonical({ ...entry } as unknown as CanonicalValue) };
    } catch {
      return undefined;
    }
  }
}
