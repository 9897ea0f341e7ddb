import type { Run, RunList, RunListQuery } from "../../../contract/v1/calls.ts";
import type {
  AttemptEntry,
  AttemptFilter,
  ErrorFacts,
  ReceiptLog,
  RunId,
  RunMark,
  RunRecord,
  RunStore,
} from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { FailureFacts } from "../feed/failure-facts.ts";
import type { RunCursor } from "./run-cursor.ts";
import { readCursor, writeCursor } from "./run-cursor.ts";
import type { RunDesk } from "./run-desk.ts";
import type { RunWish } from "./run-filter.ts";
import { isWanted, receiptFilter } from "./run-filter.ts";
import { RECORDED_DOOR, showActive, showAttempt, showRecord } from "./show-run.ts";

export interface RunBookOptions {
  readonly records: RunStore;
  readonly receipts: ReceiptLog;
  readonly desk: RunDesk;
  /** What failed runs were told with, as far as that is remembered. */
  readonly facts: Pick<FailureFacts, "of">;
}

/** Recorded runs that are looked at in one step, while those are looked for that have no receipt. */
const STEP = 200;

/** A run that has ended, and where it was found. */
type Found =
  | { readonly type: "receipt"; readonly endedAtMs: number; readonly entry: AttemptEntry }
  | { readonly type: "record"; readonly endedAtMs: number; readonly record: RunRecord };

/**
 * Every run that anybody may ask for, as one list. A run is known from its receipt, which every attempt leaves when it has ended;
 * and one that asked to be recorded from its record as well, which is there before it starts and holds its answer. What both
 * know of is one run. A record without a receipt stands for itself: it runs, or was lost with the daemon, or receipts are off.
 */
export class RunBook {
  readonly #options: RunBookOptions;

  constructor(options: RunBookOptions) {
    this.#options = options;
  }

  /** @throws {@link ExecutorError} RUN_NOT_FOUND, RECORDS_UNAVAILABLE. */
  async get(runId: RunId): Promise<Run> {
    const { desk, records } = this.#options;
    const active = desk.active(runId);
    if (active !== undefined) return showActive(active);
    const record = await records.get(runId);
    const entry = await this.#entry(runId, record === undefined);
    const run = show(entry, record, this.#options.facts.of(runId));
    if (run === undefined) throw new ExecutorError("RUN_NOT_FOUND", { runId });
    return run;
  }

  async list({ limit, after, ...wish }: RunListQuery): Promise<RunList> {
    const cursor = after === undefined ? undefined : readCursor(after);
    const under = cursor === undefined ? await this.#underWay(wish, limit) : [];
    const room = limit - under.length;
    const found = await this.#ended(wish, room, cursor);
    const page = found.slice(0, room);
    const ended = await Promise.all(page.map((one) => this.#show(one)));
    // A page that those under way have filled is followed by the first of those that have ended.
    const next = found.length < room ? undefined : cursorAfter(page, cursor);
    // One that has ended since it was seen under way is told of as ended, here or on the next page.
    const over = new Set<string>(found.map(idOf));
    const running = under.filter(({ id }) => !over.has(id));
    return { runs: [...running, ...ended], ...(next === undefined ? {} : { next: writeCursor(next) }) };
  }

  async #underWay(wish: RunWish, limit: number): Promise<readonly Run[]> {
    const records = await this.#options.records.running(limit);
    return records
      .filter((record) => isWanted(wish, record))
      .map((record) => {
        const active = this.#options.desk.active(record.runId);
        return active === undefined ? showRecord(record) : showActive(active);
      });
  }

  /** The next ones of both places, the last ended first; more than are wanted. */
  async #ended(wish: RunWish, limit: number, cursor: RunCursor | undefined): Promise<readonly Found[]> {
    if (limit === 0) return [];
    const filter = receiptFilter(wish);
    // Before either is read: a record whose receipt is still on its way would stand for itself, beside its receipt.
    if (filter !== undefined) await this.#settle();
    const [receipts, records] = await Promise.all([
      filter === undefined ? [] : this.#receipts({ ...filter, limit, beforeSeq: cursor?.seq }),
      this.#recordsAlone(wish, limit, cursor?.mark),
    ]);
    // A receipt may have come between the two.
    const told = new Set(receipts.map(idOf));
    return merge(
      receipts,
      records.filter((one) => !told.has(idOf(one))),
    );
  }

  async #receipts(filter: AttemptFilter): Promise<readonly Found[]> {
    const entries = await this.#options.receipts.list(filter);
    return entries.map((entry) => ({ type: "receipt", endedAtMs: endOf(entry), entry }));
  }

  async #recordsAlone(wish: RunWish, limit: number, before: RunMark | undefined): Promise<readonly Found[]> {
    const found: Found[] = [];
    let mark = before;
    for (;;) {
      const step = await this.#options.records.ended(STEP, mark);
      const wanted = step.filter((record) => isWanted(wish, record));
      const entries = await Promise.all(wanted.map(({ runId }) => this.#entry(runId, false)));
      for (const [at, record] of wanted.entries()) {
        const { endedAtMs = 0 } = record;
        if (entries[at] === undefined) found.push({ type: "record", endedAtMs, record });
      }
      const last = step.at(-1);
      // The store is bounded, and each step goes on after the one before.
      if (found.length >= limit || step.length < STEP || last === undefined) return found.slice(0, limit);
      mark = markOf(last);
    }
  }

  /** @param isAwaited whether one that has ended just now, and is on its way into the chain, is worth a wait. */
  async #entry(runId: RunId, isAwaited: boolean): Promise<AttemptEntry | undefined> {
    const { receipts } = this.#options;
    // A run that has its record can be told of without the chain.
    if (!isAwaited) return await receipts.get(runId).catch(() => undefined);
    const entry = await receipts.get(runId);
    if (entry !== undefined || receipts.state().pending === 0) return entry;
    await receipts.flush();
    return await receipts.get(runId);
  }

  /** Whoever has the answer finds the run. */
  async #settle(): Promise<void> {
    const { receipts } = this.#options;
    if (receipts.state().pending > 0) await receipts.flush();
  }

  async #show(found: Found): Promise<Run> {
    if (found.type === "record") return showRecord(found.record);
    const { entry } = found;
    // Only calls of this door can ask to be recorded.
    const record =
      entry.door === RECORDED_DOOR ? await this.#options.records.get(entry.id as RunId) : undefined;
    return showAttempt(entry, record, this.#options.facts.of(entry.id));
  }
}

function show(
  entry: AttemptEntry | undefined,
  record: RunRecord | undefined,
  facts: ErrorFacts,
): Run | undefined {
  if (entry !== undefined) return showAttempt(entry, record, facts);
  return record === undefined ? undefined : showRecord(record);
}

/** Each in its own order, which is that of its cursor; between the two the later end goes first. */
function merge(receipts: readonly Found[], records: readonly Found[]): readonly Found[] {
  const merged: Found[] = [];
  let [r, s] = [0, 0];
  for (;;) {
    const receipt = receipts[r];
    const record = records[s];
    if (receipt === undefined || record === undefined)
      return [...merged, ...receipts.slice(r), ...records.slice(s)];
    if (receipt.endedAtMs >= record.endedAtMs) {
      merged.push(receipt);
      r += 1;
    } else {
      merged.push(record);
      s += 1;
    }
  }
}

function cursorAfter(page: readonly Found[], before: RunCursor | undefined): RunCursor {
  let { seq, mark } = before ?? { seq: undefined, mark: undefined };
  for (const one of page) {
    if (one.type === "receipt") ({ seq } = one.entry);
    else mark = markOf(one.record);
  }
  return { seq, mark };
}

function idOf(found: Found): string {
  return found.type === "receipt" ? found.entry.id : found.record.runId;
}

function markOf({ endedAtMs = 0, runId }: RunRecord): RunMark {
  return { endedAtMs, runId };
}

function endOf({ acceptedAtUs, wallUs }: AttemptEntry): number {
  return (acceptedAtUs + wallUs) / 1000;
}
