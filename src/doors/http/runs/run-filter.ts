import type { RunListQuery } from "../../../contract/v1/calls.ts";
import type { AttemptFilter, RunRecord } from "../../../core/index.ts";
import { RECORDED_DOOR } from "./show-run.ts";

export type RunWish = Omit<RunListQuery, "limit" | "after">;

/** What the receipts are asked for; `undefined` for what no receipt can be. */
export function receiptFilter(wish: RunWish): Omit<AttemptFilter, "limit" | "beforeSeq"> | undefined {
  const { since, until, outcome, ...same } = wish;
  if (outcome === "running" || outcome === "lost") return undefined;
  return {
    ...same,
    outcome,
    sinceUs: since === undefined ? undefined : Date.parse(since) * 1000,
    untilUs: until === undefined ? undefined : Date.parse(until) * 1000,
  };
}

/** Whether a recorded run is wanted, by the same rules as a receipt. */
export function isWanted(wish: RunWish, record: RunRecord): boolean {
  const { placement, createdAtMs, image } = record;
  const { since, until } = wish;
  const isInTime =
    (since === undefined || createdAtMs >= Date.parse(since)) &&
    (until === undefined || createdAtMs < Date.parse(until));
  return (
    isInTime &&
    isOneOf(wish.door, [RECORDED_DOOR]) &&
    isOneOf(wish.image, [image, placement?.imageDigest]) &&
    isOneOf(wish.isolation, [placement?.isolation]) &&
    isOneOf(wish.outcome, outcomesOf(record))
  );
}

/** A filter that is left out lets everything pass. */
function isOneOf(wanted: string | undefined, names: readonly (string | undefined)[]): boolean {
  return wanted === undefined || names.includes(wanted);
}

/** Every name that a filter may call its outcome by. */
function outcomesOf({ end }: RunRecord): readonly string[] {
  if (end === undefined) return ["running"];
  if (end.type === "lost") return ["lost", "RUN_LOST"];
  if (end.type === "answered") return ["answered", String(end.status)];
  return [end.code, end.code === "CALL_CANCELLED" ? "cancelled" : "failed"];
}
