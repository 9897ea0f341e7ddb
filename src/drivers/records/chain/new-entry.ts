import type { MarkEntry } from "../../../core/index.ts";
import { canonical } from "../../../core/index.ts";

/** An entry's canonical text with what it is found by. */
export interface NewEntry {
  readonly text: string;
  /** Empty for what is no attempt. */
  readonly id: string;
  /** Whether its id sorts by time. */
  readonly isPlainId: boolean;
  readonly acceptedAtUs: number;
}

export function markEntry(mark: MarkEntry): NewEntry {
  return { text: canonical({ ...mark }), id: "", isPlainId: false, acceptedAtUs: mark.atUs };
}
