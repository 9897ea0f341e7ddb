import { fromBinary } from "@bufbuild/protobuf";
import type { Journal, JournalEntry } from "../../../core/index.ts";
import {
  AllocationLogEntrySchema,
  AllocationOutcomeSchema,
  CommandResponseSchema,
} from "../../../gen/executor_api_pb.js";
import type { QueuedReport, Report, ReportJournal } from "./report-queue.ts";

/** A journal that takes reports. Answers to commands are not kept: the next life answers for itself. */
export function reportJournal(journal: Journal): ReportJournal {
  return {
    add: ({ number, report }, bytes) => {
      if (isKept(report)) journal.add({ number, kind: report.type, bytes });
    },
    remove: (reports) => {
      // Taking out what was never put in would be a write to the disk all the same.
      const numbers = reports.flatMap(({ number, report }) => (isKept(report) ? [number] : []));
      if (numbers.length > 0) journal.remove(numbers);
    },
  };
}

function isKept({ type }: Report): boolean {
  return type !== "response";
}

/** What an earlier life could not tell any more. An entry that cannot be read is nobody's, and is removed. */
export function keptReports(journal: Journal): readonly QueuedReport[] {
  return journal.kept.flatMap((entry) => {
    const report = decode(entry);
    if (report !== undefined) return [{ number: entry.number, report, bytes: entry.bytes.length }];
    journal.remove([entry.number]);
    return [];
  });
}

function decode({ kind, bytes }: JournalEntry): Report | undefined {
  try {
    if (kind === "entry") return { type: "entry", message: fromBinary(AllocationLogEntrySchema, bytes) };
    if (kind === "outcome") return { type: "outcome", message: fromBinary(AllocationOutcomeSchema, bytes) };
    if (kind === "response") return { type: "response", message: fromBinary(CommandResponseSchema, bytes) };
  } catch {
    return undefined;
  }
  return undefined;
}
