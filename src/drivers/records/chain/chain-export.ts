import type { CanonicalValue, Checkpoint } from "../../../core/index.ts";
import { canonical, ReadBlock } from "../../../core/index.ts";
import { blockLine, entryLine, GENESIS } from "../../../std/receipts/index.ts";
import type { BlockRow } from "./chain-tables.ts";

/** Entries in one piece of an export at most; each has some 800 bytes. */
const PIECE_ENTRIES = 512;

/** An export on its way: what was asked for, and what has been given out. */
export interface ExportState {
  readonly from: number;
  readonly to: number;
  /** The newest entry when it began. */
  readonly newest: number;
  /** Of what was given out; 0 before the first block. */
  readonly first: number;
  readonly last: number;
  readonly head: string;
  /** The first entry of the block that is being given out, and how many of its entries have been; `undefined` between two. */
  readonly open: { readonly first: number; readonly given: number } | undefined;
}

export function beginExport(from: number, to: number, newest: number): ExportState {
  const head = GENESIS.toString("hex");
  return { from, to: Math.min(to, newest), newest, first: 0, last: 0, head, open: undefined };
}

/** A block as an export has it, piece by piece, with what is stored, right or wrong. */
export class BlockPieces {
  #read: { readonly first: number; readonly block: ReadBlock | undefined } | undefined;

  next(
    state: ExportState,
    row: BlockRow,
    checkpoint: Checkpoint,
  ): { readonly text: string; readonly state: ExportState } {
    const given = state.open?.given ?? 0;
    const block = this.#open(row, given > 0);
    const to = Math.min(given + PIECE_ENTRIES, block?.count ?? 0);
    const lines =
      given > 0 ? [] : [blockLine(checkpoint, row.signature.toString("base64url"), row.text.toString())];
    for (let index = given; index < to; index += 1) {
      const line = block && lineOf(block, index);
      if (line !== undefined) lines.push(line);
    }
    const isMore = block !== undefined && to < block.count;
    const next = {
      ...state,
      first: state.first === 0 ? row.first : state.first,
      last: row.last,
      head: row.head.toString("hex"),
      open: isMore ? { first: row.first, given: to } : undefined,
    };
    return { text: lines.map((line) => `${line}\n`).join(""), state: next };
  }

  #open({ first, text }: BlockRow, isBegun: boolean): ReadBlock | undefined {
    if (isBegun && this.#read?.first === first) return this.#read.block;
    let block: ReadBlock | undefined;
    try {
      block = new ReadBlock(text.toString());
    } catch {
      block = undefined; // somebody changed it: whoever checks it is told so by its hash
    }
    this.#read = { first, block };
    return block;
  }
}

function lineOf(block: ReadBlock, index: number): string | undefined {
  try {
    return entryLine(canonical({ ...block.entry(index) } as unknown as CanonicalValue));
  } catch {
    return undefined;
  }
}
