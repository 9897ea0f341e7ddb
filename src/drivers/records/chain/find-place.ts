import type { AlikeIds } from "../../../core/index.ts";
import { placeOf } from "../../../core/index.ts";

/**
 * Whether an attempt can be in a block, told from the ids alone: far cheaper than to read it all. What looks like the key of
 * the ids stands nowhere behind them, and within a string its quotes would be escaped.
 */
export function canHold(text: Buffer, id: string): boolean {
  const key = '"ids":';
  const from = text.lastIndexOf(key) + key.length;
  if (from < key.length) return false;
  const open = text[from];
  const to = text.indexOf(open === OPEN_LIST ? "]" : "}", from);
  // Ids of any shape may hold what would end the list.
  if (open === OPEN_LIST || to < 0) return true;
  const ids = JSON.parse(text.toString("latin1", from, to + 1)) as AlikeIds;
  return placeOf(ids, countOf(text), id) >= 0;
}

const OPEN_LIST = 91;

function countOf(text: Buffer): number {
  const key = '"count":';
  const from = text.indexOf(key) + key.length;
  return Number.parseInt(text.toString("latin1", from, from + 10), 10);
}
