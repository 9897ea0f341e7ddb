import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Recorded, TestExecutor } from "../../../test/support/test-executor.ts";
import { record, task, testExecutor } from "../../../test/support/test-executor.ts";
import type { TaskSpec } from "../../core/index.ts";
import { ExecutorError, taskKey } from "../../core/index.ts";
import type { Verdict } from "../executor.ts";
import { ROOM_IN_MAKING } from "./task-line.ts";

const MEMORY_MIB = 600;
const START_MS = 30;

/** Few enough to meet each other again, and of sizes that push each other out. */
const wish = fc.constantFrom(
  { image: "a", cpu: 1, memory: 100 },
  { image: "b", cpu: 2, memory: 100 },
  { image: "c", cpu: 3, memory: 50 },
  { image: "d", cpu: 1, memory: 300 },
  { image: "e", cpu: 2, memory: 300 },
  { image: "f", cpu: 0.5, memory: 600 },
  { image: "too-big", cpu: 3.1, memory: 50 },
  { image: "forbidden", cpu: 1, memory: 50 },
  { image: "missing", cpu: 1, memory: 50 },
);
const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ type: fc.constant("call" as const), wish }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant("answer" as const), which: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("cancel" as const), which: fc.nat(20) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("wait" as const),
      ms: fc.constantFrom(1, 20, 40, 1_000, 3_000, 20_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("fail" as const), which: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("die" as const), which: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.constant({ type: "pause" as const }) },
  { weight: 6, arbitrary: fc.constant({ type: "unpause" as const }) },
  { weight: 8, arbitrary: fc.constant({ type: "rest" as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("limits" as const), cpu: fc.constantFrom(500, 2_000, 3_000) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function specOf({ image, cpu, memory }: typeof wish extends fc.Arbitrary<infer W> ? W : never): TaskSpec {
  return task(image, cpu, memory);
}

async function play({ executor, driver, clock, channels }: TestExecutor, steps: readonly Step[]) {
  const calls: Recorded[] = [];
  for (const one of steps) {
    if (one.type === "call") calls.push(record(executor, specOf(one.wish)));
    else if (one.type === "answer") channels.calls[one.which % Math.max(1, channels.calls.length)]?.answer();
    else if (one.type === "cancel") calls[one.which % Math.max(1, calls.length)]?.cancel();
    else if (one.type === "fail") driver.script("start", "reject");
    else if (one.type === "die") [...driver.live][one.which]?.die({ type: "exited", exitCode: 1 });
    else if (one.type === "pause") executor.pause().catch(() => undefined);
    else if (one.type === "unpause") executor.unpause();
    else if (one.type === "limits") executor.configure({ ...executor.settings(), cpuMillis: one.cpu });
    else if (one.type === "rest") {
      for (const call of [...channels.calls]) call.answer();
      await clock.advance(100);
    } else await clock.advance(one.ms);
    // What is decided at once has been decided.
    await clock.advance(0);
  }
}

/** What the executor did for one call while no time passed: in the words of a verdict. */
interface Deed {
  readonly type: Verdict["type"];
  readonly start: string | undefined;
  readonly freeze: readonly string[];
  readonly evict: readonly string[];
  readonly code: string | undefined;
}

function deedForetold(verdict: Verdict): Deed {
  return {
    type: verdict.type,
    start: verdict.type === "room" ? verdict.start : undefined,
    freeze: verdict.type === "room" ? [...verdict.freeze].sort() : [],
    evict: verdict.type === "room" ? [...verdict.evict].sort() : [],
    code: verdict.type === "refused" ? verdict.error.code : undefined,
  };
}

function kindsOf({ type, start, freeze, evict, code }: Deed): readonly string[] {
  const victims = [...(freeze.length > 0 ? ["freezes"] : []), ...(evict.length > 0 ? ["evicts"] : [])];
  return [start ?? code ?? type, ...victims];
}

/** Calls now, and sees what it comes to while no time passes. */
async function deedDone({ executor, clock, driver }: TestExecutor, spec: TaskSpec): Promise<Deed> {
  const tiers = (): Map<string, string> =>
    new Map(executor.sandboxes().map((one) => [one.sandboxId, one.tier]));
  const before = tiers();
  const resolved = driver.resolved.length;
  const key = taskKey(spec);
  const ownStarts = (): number => driver.started.filter((one) => one.taskKey === key).length;
  const started = ownStarts();
  const call = record(executor, spec);
  await clock.advance(0);
  const after = tiers();
  const became = (tier: string): string[] =>
    [...after].filter(([id, now]) => now === tier && before.get(id) !== tier).map(([id]) => id);
  const moved = { freeze: became("freezing").sort(), evict: became("stopping").sort() };
  if (call.error !== undefined) {
    return { ...moved, type: "refused", start: undefined, code: ExecutorError.from(call.error).code };
  }
  if (call.placement !== undefined) return { ...moved, type: "warm", start: undefined, code: undefined };
  const isWaking = executor
    .sandboxes()
    .some((one) => one.taskKey === key && one.tier === "thawing" && before.get(one.sandboxId) !== "thawing");
  const isGranted = ownStarts() > started || isWaking || reasonOf(executor, spec) === ROOM_IN_MAKING;
  // Every start looks its image up first.
  const start = driver.resolved.length > resolved ? "cold" : "thawed";
  if (isGranted) return { ...moved, type: "room", start, code: undefined };
  return { ...moved, type: "wait", start: undefined, code: undefined };
}

function reasonOf(executor: TestExecutor["executor"], spec: TaskSpec): string | undefined {
  return executor.waiting().find(({ taskKey: key }) => key === taskKey(spec))?.reason;
}

test("E: in 2000 random states the verdict is what then happens", async () => {
  const seen = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 60 }),
      wish,
      fc.nat(60),
      fc.constantFrom(1, 2),
      fc.constantFrom(3, 12),
      async (steps, other, which, sandboxesPerTask, queueLimit) => {
        const parts = await testExecutor(
          {
            cpuMillis: 3_000,
            memoryBytes: MEMORY_MIB * 1_048_576,
            sandboxesPerTask,
            slotsPerSandbox: 2,
            queueLimit,
          },
          { startMs: START_MS, freezeMs: 8, stopMs: 20 },
        );
        parts.driver.missing.add("missing");
        await play(parts, steps);
        // A start that fails of itself is nothing that anybody could foretell.
        parts.driver.heal();
        // Mostly a task that has been called before: it may be warm, frozen, waiting or failing.
        const called = steps.flatMap((one) => (one.type === "call" ? [one.wish] : []));
        const asked = called[which % (called.length + 1)] ?? other;
        const spec = specOf(asked);
        const before = JSON.stringify([parts.executor.sandboxes(), parts.executor.waiting()]);
        const verdict = await parts.executor.explain(spec, "http", new AbortController().signal);
        expect(JSON.stringify([parts.executor.sandboxes(), parts.executor.waiting()])).toBe(before);
        // Of a start or waking that is on its way for others already the caller only gets the seat that is left.
        fc.pre(reasonOf(parts.executor, spec) === undefined || verdict.type !== "room");
        const told = deedForetold(verdict);
        for (const kind of kindsOf(told)) seen.set(kind, (seen.get(kind) ?? 0) + 1);
        const isFirst = reasonOf(parts.executor, spec) === undefined;
        const done = await deedDone(parts, spec);
        // Whoever joins a line whose room is made already waits in it, whatever is made for the first.
        expect(isFirst || done.type !== "room" ? done : { ...done, type: "wait", start: undefined }).toEqual(
          told,
        );
        if (verdict.type === "wait" && isFirst) expect(reasonOf(parts.executor, spec)).toBe(verdict.reason);
      },
    ),
    { numRuns: 2000 },
  );
  // A run in which one kind never came up would have shown nothing about it.
  const refusals = ["IMAGE_FORBIDDEN", "IMAGE_NOT_FOUND", "QUEUE_FULL"];
  const kinds = ["warm", "cold", "thawed", "freezes", "evicts", "wait", ...refusals];
  for (const kind of kinds) expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(5);
}, 300_000);
