import { expect, test } from "vitest";
import type { TestExecutor } from "../../../test/support/test-executor.ts";
import { record, task, testExecutor } from "../../../test/support/test-executor.ts";
import type { AttemptRecord } from "../../core/index.ts";
import { asId, attemptPhases, NO_GPUS, toUs } from "../../core/index.ts";
import { recordCalls } from "./record-calls.ts";

async function recorded(): Promise<TestExecutor & { readonly records: AttemptRecord[] }> {
  const records: AttemptRecord[] = [];
  const sink = { record: (attempt: AttemptRecord): void => void records.push(attempt) };
  const observer = recordCalls(sink, () => "made-up");
  const world = await testExecutor({}, { startMs: 40 }, undefined, observer, NO_GPUS, "s", true);
  return Object.assign(world, { records });
}

test("each call leaves one record when it has ended, with the start that it waited for and the way that it came in", async () => {
  const { executor, channels, clock, records } = await recorded();
  record(executor, task("a"), { runId: asId<"run">("r1"), recordedAs: "legacy" });
  await clock.advance(50);
  expect(records).toEqual([]);
  channels.calls[0]?.answer("hello");
  await clock.advance(1);
  record(executor, task("a"), { runId: asId<"run">("r2") });
  await clock.advance(7);
  channels.calls[0]?.answer("again");
  await clock.advance(1);
  expect(records).toHaveLength(2);
  const [cold, warm] = records;
  expect(cold).toMatchObject({
    id: "r1",
    door: "legacy",
    place: { start: "cold", sandboxId: "s1" },
    outcome: "answered",
    status: 200,
    bytesIn: 2,
    bytesOut: 5,
    error: undefined,
    use: { type: "later", wasAlone: true },
  });
  expect(warm).toMatchObject({ id: "r2", door: "v1", place: { start: "warm" }, times: { start: undefined } });
  for (const { times } of records) {
    const sumUs = Object.values(attemptPhases(times)).reduce((sum, us) => sum + us, 0);
    expect(sumUs).toBe(toUs(times.endedAtMs) - toUs(times.acceptedAtMs));
  }
  const { create = 0, start = 0, ready = 0 } = cold === undefined ? {} : attemptPhases(cold.times);
  expect(create + start + ready).toBeGreaterThan(0);
});

test("a call that was refused and one that gave up leave a record each, without a place", async () => {
  const { executor, clock, records } = await recorded();
  record(executor, task("forbidden"), { runId: asId<"run">("r1") });
  const waiting = record(executor, task("a"));
  await clock.advance(1);
  waiting.cancel();
  await clock.advance(100);
  expect(records.map(({ id, outcome, place }) => [id, outcome, place])).toEqual([
    ["r1", "failed", undefined],
    ["made-up", "cancelled", undefined],
  ]);
  expect(records[0]?.error).toMatchObject({ code: "IMAGE_FORBIDDEN" });
});
