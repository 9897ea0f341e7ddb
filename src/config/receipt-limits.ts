import type { ReceiptLimits } from "../core/index.ts";
import { MEBIBYTE } from "../core/index.ts";
import type { Config } from "./schema.ts";

const DAY_MS = 86_400_000;

/** How much of the chain is kept, in base units. */
export function toReceiptLimits({ records, days, megabytes }: Config["receipts"]): ReceiptLimits {
  return { records, ageMs: Math.round(days * DAY_MS), bytes: megabytes * MEBIBYTE };
}
