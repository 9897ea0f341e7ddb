import { canonical } from "../../../../core/index.ts";
import { PLAIN_ID_BYTES } from "../attempt-rows.ts";
import type { BlockBytes } from "./block-bytes.ts";

/** The first and the last of some ids in their order. */
export interface IdSpan {
  readonly minId: string;
  readonly maxId: string;
}

/** Writes ids that sort by time, as a block has them: what they begin and end with once, then what is between. */
export function writePlainIds(bytes: BlockBytes, ids: Uint8Array, from: number, count: number): IdSpan {
  const start = from * PLAIN_ID_BYTES;
  const end = start + count * PLAIN_ID_BYTES;
  const head = alikeAtHead(ids, start, end);
  const tail = head === PLAIN_ID_BYTES ? 0 : alikeAtTail(ids, start, end);
  const middle = new Uint8Array(count * (PLAIN_ID_BYTES - head - tail));
  let [least, most, to] = [start, start, 0];
  for (let at = start; at < end; at += PLAIN_ID_BYTES) {
    for (let index = head; index < PLAIN_ID_BYTES - tail; index += 1) middle[to++] = ids[at + index] ?? 0;
    if (isBefore(ids, at, least, head)) least = at;
    else if (isBefore(ids, most, at, head)) most = at;
  }
  const minId = idAt(ids, least);
  bytes.put('{"middle":"');
  bytes.putBytes(middle);
  bytes.put(`","prefix":"${minId.slice(0, head)}","suffix":"${minId.slice(PLAIN_ID_BYTES - tail)}"}`);
  return { minId, maxId: idAt(ids, most) };
}

/** The same of ids of any shape. */
export function writeIds(bytes: BlockBytes, ids: readonly string[]): void {
  bytes.put(canonical(ids));
}

export function idAt(ids: Uint8Array, at: number): string {
  return String.fromCharCode(...ids.subarray(at, at + PLAIN_ID_BYTES));
}

function alikeAtHead(ids: Uint8Array, start: number, end: number): number {
  let alike = PLAIN_ID_BYTES;
  for (let at = start + PLAIN_ID_BYTES; at < end; at += PLAIN_ID_BYTES) {
    for (let index = 0; index < alike; index += 1) if (ids[at + index] !== ids[start + index]) alike = index;
  }
  return alike;
}

function alikeAtTail(ids: Uint8Array, start: number, end: number): number {
  let alike = PLAIN_ID_BYTES;
  const last = PLAIN_ID_BYTES - 1;
  for (let at = start + PLAIN_ID_BYTES; at < end; at += PLAIN_ID_BYTES) {
    for (let index = 0; index < alike; index += 1) {
      if (ids[at + last - index] !== ids[start + last - index]) alike = index;
    }
  }
  return alike;
}

/** Whether the id at one place sorts before the one at another; both begin alike. */
function isBefore(ids: Uint8Array, one: number, other: number, head: number): boolean {
  for (let index = head; index < PLAIN_ID_BYTES; index += 1) {
    const difference = (ids[one + index] ?? 0) - (ids[other + index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
