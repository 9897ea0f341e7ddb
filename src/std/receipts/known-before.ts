import type { Checkpoint, Receipt } from "../../core/index.ts";
import { GENESIS } from "./chain-hash.ts";
import type { ExpectedEntries } from "./expected-entries.ts";

const NO_HASH = GENESIS.toString("hex");

interface Known {
  readonly mustHold?: string | undefined;
  readonly receipt?: Receipt | undefined;
}

/** What somebody kept of a chain and wants to find in it again. */
export class KnownBefore {
  readonly #known: Known;
  #hasHash = false;
  #hasReceipt = false;

  constructor(known: Known) {
    this.#known = known;
  }

  /** A block was told. What stands before every chain shows nothing of this one. */
  see({ prev, head }: Checkpoint): void {
    const { mustHold } = this.#known;
    if (mustHold === head || (mustHold === prev && prev !== NO_HASH)) this.#hasHash = true;
  }

  /** @returns what its entries say against the receipt; nothing if the receipt's is not among them. */
  compare(entries: ExpectedEntries, { head }: Checkpoint): string | undefined {
    const { receipt } = this.#known;
    if (receipt === undefined) return undefined;
    const { seq, id } = receipt.entry;
    if (seq < entries.first || seq > entries.last) return undefined;
    this.#hasReceipt = true;
    const isSame = receipt.checkpoint.head === head && entries.at(seq)?.text === receipt.canonical;
    return isSame ? undefined : `entry ${seq} is not what the receipt of run ${id} says`;
  }

  /** What was not found by the end. */
  missing(): readonly string[] {
    const { mustHold, receipt } = this.#known;
    const faults: string[] = [];
    if (mustHold !== undefined && !this.#hasHash)
      faults.push(`the hash ${mustHold} is not in it: it is of another chain, or a part of one`);
    if (receipt !== undefined && !this.#hasReceipt)
      faults.push(`entry ${receipt.entry.seq}, of which there is a receipt, is not in it`);
    return faults;
  }
}
