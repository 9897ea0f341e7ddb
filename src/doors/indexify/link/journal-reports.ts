import { fromBinary } from "@bufbuild/protobuf";
import type { Journal, JournalEntry } from "../../../core/index.ts";
import {
  AllocationLogEntrySchema,
  AllocationOutcomeSchema,
  CommandResponseSchema,
} from "../../../gen/executor_api_pb.js";
import { encodeReport, type QueuedReport, type Report, type ReportJournal } from "./report-queue.ts";

/** A journal that takes reports. Answers to commands are not kept: the next life answers for itself. */
export function reportJournal(journal: Journal): ReportJournal {
  return {
    add: ({ number, report }) => {
      if (report.type !== "response") journal.add({ number, kind: report.type, bytes: encodeReport(report) });
    },
    remove: (numbers) => journal.remove(numbers),
  };
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
