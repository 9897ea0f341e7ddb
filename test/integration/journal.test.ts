import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
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

test("what is not kept over a life is no write: an answer neither comes into the journal nor goes out of it", () => {
  const asked: unknown[] = [];
  const journal = reportJournal({
    kept: [],
    add: ({ kind }) => asked.push(kind),
    remove: (numbers) => asked.push(numbers),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
  const queue = new ReportQueue({
    ...{ fragmentBytes: 1_000_000, limit: 100, journal, kept: [] },
    onDropped: () => undefined,
    onAdded: () => undefined,
  });
  const scheduled = create(CommandResponseSchema, {
    response: { case: "allocationScheduled", value: { allocationId: "a" } },
  });
  queue.add({ type: "response", message: scheduled });
  queue.remove(queue.fragment());
  expect(asked).toEqual([]);
  queue.add({ type: "response", message: scheduled });
  queue.add(outcome("a"));
  queue.remove(queue.fragment());
  expect(asked).toEqual(["outcome", [3]]);
});

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

test("a file that is no database is set aside with a word about it, and a new one is begun", async () => {
  const file = join(folder, "reports.db");
  const bytes = Buffer.alloc(5_000, "no database");
  await writeFile(file, bytes);
  const said: unknown[] = [];
  const journal = await openJournal({
    file,
    log: { ...silentLog, log: (...line) => said.push(line) },
    delayMs: 1,
  });
  expect(journal.kept).toEqual([]);
  journal.add({ number: 1, kind: "k", bytes: new Uint8Array([1]) });
  await journal[Symbol.asyncDispose]();
  expect(said).toMatchObject([["warn", "journal.set-aside", { file, keptAs: `${file}.damaged` }]]);
  expect(await readFile(`${file}.damaged`)).toEqual(bytes);
  await using again = await open();
  expect(again.kept).toEqual([{ number: 1, kind: "k", bytes: new Uint8Array([1]) }]);
});
