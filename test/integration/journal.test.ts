import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { keptReports, reportJournal } from "../../src/doors/indexify/link/journal-reports.ts";
import { ReportQueue } from "../../src/doors/indexify/link/report-queue.ts";
import { openJournal } from "../../src/drivers/records/open-journal.ts";
import {
  AllocationFailureReason,
  AllocationOutcomeSchema,
  CommandResponseSchema,
} from "../../src/gen/executor_api_pb.js";
import { silentLog } from "../../src/telemetry/silent-log.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-journal-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = () => openJournal({ file: join(folder, "reports.db"), log: silentLog, delayMs: 1 });

const queueOn = (journal: Awaited<ReturnType<typeof open>>): ReportQueue =>
  new ReportQueue({
    fragmentBytes: 1_000_000,
    limit: 100,
    journal: reportJournal(journal),
    kept: keptReports(journal),
    onDropped: () => undefined,
    onAdded: () => undefined,
  });

const outcome = (allocationId: string) =>
  ({
    type: "outcome",
    message: create(AllocationOutcomeSchema, {
      outcome: { case: "failed", value: { allocationId, reason: AllocationFailureReason.OOM } },
    }),
  }) as const;

const idsOf = (queue: ReportQueue) =>
  queue
    .fragment()
    .map(({ report }) => report.type === "outcome" && report.message.outcome.value?.allocationId);

test("outcomes that were not taken are there in the next life, in order; taken ones and answers are not", async () => {
  {
    await using journal = await open();
    const queue = queueOn(journal);
    for (const id of ["a", "b", "c"]) queue.add(outcome(id));
    queue.add({
      type: "response",
      message: create(CommandResponseSchema, {
        response: { case: "containerStarted", value: { containerId: "c" } },
      }),
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    // The answer and the first outcome are taken.
    queue.remove(queue.fragment(2));
    expect(queue.size).toBe(2);
  }
  {
    await using journal = await open();
    const queue = queueOn(journal);
    expect(idsOf(queue)).toEqual(["b", "c"]);
    queue.add(outcome("d"));
    queue.remove(queue.fragment(1));
  }
  await using journal = await open();
  expect(idsOf(queueOn(journal))).toEqual(["c", "d"]);
});
