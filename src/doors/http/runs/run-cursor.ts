import type { RunMark } from "../../../core/index.ts";
import { asId, ExecutorError } from "../../../core/index.ts";

/** How far a reader of the list has come in each of the two places that runs are kept in. */
export interface RunCursor {
  /** The last receipt seen; `undefined`: none yet. */
  readonly seq: number | undefined;
  /** The last recorded run seen that has no receipt. */
  readonly mark: RunMark | undefined;
}

const FORM = /^e(?:s(\d{1,15}))?(?:m(\d{1,15})\.([A-Za-z0-9_-]{1,64}))?$/;

/** As text for the reader, who gives it back and reads nothing in it: `e` for those that have ended, then how far it has come. */
export function writeCursor({ seq, mark }: RunCursor): string {
  const ofReceipts = seq === undefined ? "" : `s${seq}`;
  return `e${ofReceipts}${mark === undefined ? "" : `m${mark.endedAtMs}.${mark.runId}`}`;
}

/** @throws {@link ExecutorError} INPUT_INVALID for a text that is none of ours. */
export function readCursor(text: string): RunCursor {
  const [whole, seq, endedAtMs, runId] = FORM.exec(text) ?? [];
  if (whole === undefined) {
    throw new ExecutorError("INPUT_INVALID", { field: "after", reason: "must be `next` of another page" });
  }
  return {
    seq: seq === undefined ? undefined : Number(seq),
    mark:
      endedAtMs === undefined || runId === undefined
        ? undefined
        : { endedAtMs: Number(endedAtMs), runId: asId<"run">(runId) },
  };
}
