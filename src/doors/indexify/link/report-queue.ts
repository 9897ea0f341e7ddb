import { create, toBinary } from "@bufbuild/protobuf";
import type { AllocationLogEntry, AllocationOutcome, CommandResponse } from "../../../gen/executor_api_pb.js";
import {
  AllocationLogEntrySchema,
  AllocationOutcomeSchema,
  CommandResponseSchema,
  HeartbeatRequestSchema,
} from "../../../gen/executor_api_pb.js";

/** One thing that the server is to be told. */
export type Report =
  | { readonly type: "response"; readonly message: CommandResponse }
  | { readonly type: "entry"; readonly message: AllocationLogEntry }
  | { readonly type: "outcome"; readonly message: AllocationOutcome };

export type ReportType = Report["type"];

/** A report in the queue. Its number is its own for as long as the queue's store lives. */
export interface QueuedReport {
  readonly number: number;
  readonly report: Report;
  /** What it adds to a heartbeat at most. */
  readonly bytes: number;
}

/** Where reports wait beyond the daemon's life. Both are taken down behind the caller's back, in order. */
export interface ReportJournal {
  /** @param encoded its message, as {@link encodeReport} says it. */
  add(queued: QueuedReport, encoded: Uint8Array): void;
  remove(reports: readonly QueuedReport[]): void;
}

export interface ReportQueueOptions {
  /** Bytes of reports in one heartbeat; at least one of each type goes whatever its size. */
  readonly fragmentBytes: number;
  /** Reports of one type that may wait; past it the newest is dropped. */
  readonly limit: number;
  readonly journal: ReportJournal;
  /** What an earlier life left, in the order of its numbers. */
  readonly kept: readonly QueuedReport[];
  onDropped(report: Report): void;
  /** It was added; a heartbeat should carry it now, or soon. */
  onAdded(report: Report): void;
}

/** Tag and length of one item in its repeated field. */
const ITEM_OVERHEAD_BYTES = 6;

/**
 * What the server has not acknowledged yet, in the order in which it came. A prefix of each type goes with a heartbeat and
 * leaves the queue only when that heartbeat was taken. An allocation's outcome never goes before its log entries
 * (`contracts/indexify.md` 3.5).
 */
export class ReportQueue {
  readonly #options: ReportQueueOptions;
  readonly #queues: Readonly<Record<ReportType, QueuedReport[]>> = { response: [], entry: [], outcome: [] };
  #next: number;

  constructor(options: ReportQueueOptions) {
    this.#options = options;
    for (const queued of options.kept) this.#queues[queued.report.type].push(queued);
    this.#next = 1 + options.kept.reduce((last, { number }) => Math.max(last, number), 0);
  }

  /** Whether a report alone is larger than a heartbeat should be. */
  isOversize({ bytes }: QueuedReport): boolean {
    return bytes > this.#options.fragmentBytes;
  }

  get isEmpty(): boolean {
    return this.size === 0;
  }

  get hasUrgent(): boolean {
    const { response, entry, outcome } = this.#queues;
    return entry.length + outcome.length > 0 || response.some(({ report }) => isUrgent(report));
  }

  get size(): number {
    const { response, entry, outcome } = this.#queues;
    return response.length + entry.length + outcome.length;
  }

  add(report: Report): void {
    const queue = this.#queues[report.type];
    if (queue.length >= this.#options.limit) {
      this.#options.onDropped(report);
      return;
    }
    const encoded = encodeReport(report);
    const queued = { number: this.#next, report, bytes: encoded.length + ITEM_OVERHEAD_BYTES };
    this.#next += 1;
    queue.push(queued);
    this.#options.journal.add(queued, encoded);
    this.#options.onAdded(report);
  }

  /** What the next heartbeat carries. @param items at most so many in all; for finding the one that the server chokes on. */
  fragment(items = Number.POSITIVE_INFINITY): readonly QueuedReport[] {
    const taken: QueuedReport[] = [];
    let bytes = 0;
    for (const type of ["entry", "response", "outcome"] as const) {
      let ofType = 0;
      for (const queued of this.#queues[type]) {
        const isOver = bytes + queued.bytes > this.#options.fragmentBytes && ofType > 0;
        if (isOver || taken.length >= items || this.#isTooEarly(queued.report, taken)) break;
        taken.push(queued);
        bytes += queued.bytes;
        ofType += 1;
      }
    }
    return taken;
  }

  /** The server has them, or they are given up. */
  remove(reports: readonly QueuedReport[]): void {
    const numbers = new Set(reports.map(({ number }) => number));
    for (const queue of Object.values(this.#queues)) {
      const left = queue.filter(({ number }) => !numbers.has(number));
      queue.splice(0, queue.length, ...left);
    }
    this.#options.journal.remove(reports);
  }

  /** Whether log entries of its allocation would stay behind. */
  #isTooEarly(report: Report, taken: readonly QueuedReport[]): boolean {
    if (report.type !== "outcome") return false;
    const allocationId = allocationOf(report.message);
    return this.#queues.entry.some(
      (queued) =>
        queued.report.type === "entry" &&
        queued.report.message.allocationId === allocationId &&
        !taken.includes(queued),
    );
  }
}

/** The reports as the fields of a heartbeat. */
export function heartbeatFields(reports: readonly QueuedReport[]): {
  commandResponses: CommandResponse[];
  allocationOutcomes: AllocationOutcome[];
  allocationLogEntries: AllocationLogEntry[];
} {
  const fields = create(HeartbeatRequestSchema);
  for (const { report } of reports) {
    if (report.type === "response") fields.commandResponses.push(report.message);
    else if (report.type === "entry") fields.allocationLogEntries.push(report.message);
    else fields.allocationOutcomes.push(report.message);
  }
  const { commandResponses, allocationOutcomes, allocationLogEntries } = fields;
  return { commandResponses, allocationOutcomes, allocationLogEntries };
}

/**
 * Whether the server does something with it. That an allocation was scheduled it only writes down, so this may wait a moment
 * for company: a short allocation then needs one heartbeat, not two.
 */
export function isUrgent(report: Report): boolean {
  return report.type !== "response" || report.message.response.case !== "allocationScheduled";
}

export function allocationOf({ outcome }: AllocationOutcome): string | undefined {
  return outcome.value?.allocationId;
}

/** The report's own message, without its type. */
export function encodeReport(report: Report): Uint8Array {
  if (report.type === "response") return toBinary(CommandResponseSchema, report.message);
  if (report.type === "entry") return toBinary(AllocationLogEntrySchema, report.message);
  return toBinary(AllocationOutcomeSchema, report.message);
}
