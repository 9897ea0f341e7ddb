import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Recorded } from "../../../test/support/test-executor.ts";
import { record, task, testExecutor } from "../../../test/support/test-executor.ts";
import type { SandboxId, SessionId } from "../../core/index.ts";
import { MEBIBYTE, NO_RESOURCES } from "../../core/index.ts";
import type { Executor } from "../executor.ts";

const IMAGES = ["a", "b", "c", "d"] as const;
const image = fc.constantFrom(...IMAGES);
const which = fc.nat(20);

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant("open" as const), image }) },
  { weight: 8, arbitrary: fc.record({ type: fc.constant("join" as const), which }) },
  // What presses: each needs a third of the host.
  { weight: 8, arbitrary: fc.record({ type: fc.constant("plain" as const), image }) },
  { weight: 10, arbitrary: fc.record({ type: fc.constant("answer" as const), which }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("cancel" as const), which }) },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("wait" as const),
      ms: fc.constantFrom(1, 20, 1_000, 8_000, 30_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("end" as const), which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("die" as const), which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("unreachable" as const), which }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("move" as const), image }) },
  { weight: 1, arbitrary: fc.constant({ type: "pause" as const }) },
);

interface Opened {
  readonly sessionId: SessionId;
  readonly sandboxId: SandboxId;
  readonly image: string;
}

const ENDS = new Set(["SESSION_ENDED", "SESSION_NOT_FOUND", "PAUSED", "QUEUE_TIMEOUT", "TASK_EXITED"]);

function isOpen(executor: Executor, sessionId: SessionId): boolean {
  try {
    executor.session(sessionId);
    return true;
  } catch {
    return false;
  }
}

test("M22: under eviction pressure and faults no call of a session ever meets another sandbox, and nothing is left", async () => {
  let joins = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 90 }), async (steps) => {
      const parts = await testExecutor(
        {
          cpuMillis: 3_000,
          memoryBytes: 600 * MEBIBYTE,
          sandboxesPerTask: 2,
          slotsPerSandbox: 2,
          queueTimeoutMs: 5_000,
          idleTimeoutMs: 15_000,
          sessionIdleMs: 20_000,
          sessionMaxMs: 90_000,
          sessionLimit: 4,
        },
        { startMs: 30, freezeMs: 8, stopMs: 20 },
      );
      const { executor, driver, clock, channels } = parts;
      const calls: (Recorded & { isCancelled?: boolean })[] = [];
      const opening: { readonly call: Recorded; readonly image: string }[] = [];
      const bound: { readonly call: Recorded; readonly to: Opened }[] = [];
      const pauses: Promise<unknown>[] = [];
      let made = 0;
      /** Whose caller has its answer, and so the id. */
      const opened = (): Opened[] =>
        opening.flatMap(({ call, image: name }) =>
          call.ends === 1 && call.error === undefined && call.session?.sessionId !== undefined
            ? [{ sessionId: call.session.sessionId, sandboxId: call.session.sandboxId, image: name }]
            : [],
        );
      const act = async (one: typeof step extends fc.Arbitrary<infer S> ? S : never): Promise<void> => {
        if (one.type === "open") {
          const call = record(executor, task(one.image), { session: { type: "open" } });
          calls.push(call);
          opening.push({ call, image: one.image });
        } else if (one.type === "join") {
          const all = opened();
          const to = all[one.which % Math.max(1, all.length)];
          if (to === undefined) return;
          const call = record(executor, task(to.image), {
            session: { type: "join", sessionId: to.sessionId },
          });
          calls.push(call);
          bound.push({ call, to });
        } else if (one.type === "plain") calls.push(record(executor, task(one.image)));
        else if (one.type === "answer")
          channels.calls[one.which % Math.max(1, channels.calls.length)]?.answer();
        else if (one.type === "cancel") {
          const call = calls[one.which % Math.max(1, calls.length)];
          if (call === undefined || call.ends > 0) return;
          call.isCancelled = true;
          call.cancel();
        } else if (one.type === "end") {
          const to = opened()[one.which];
          if (to !== undefined && isOpen(executor, to.sessionId)) executor.endSession(to.sessionId);
        } else if (one.type === "die") [...driver.live][one.which]?.die({ type: "exited", exitCode: 1 });
        else if (one.type === "unreachable") {
          const sandbox = [...driver.live][one.which];
          if (sandbox !== undefined) channels.unreachable.add(sandbox.id);
        } else if (one.type === "move") {
          driver.digests.set(one.image, `sha256:${++made}`);
          pauses.push(executor.prefetch(one.image, {}, new AbortController().signal).catch(() => undefined));
        } else if (one.type === "pause") {
          pauses.push(executor.pause());
          await clock.advance(100);
          executor.unpause();
        } else await clock.advance(one.ms);
      };
      for (const one of steps) {
        await act(one);
        await clock.advance(1);
        const tiers = new Map(executor.sandboxes().map(({ sandboxId, tier }) => [sandboxId, tier]));
        for (const { sessionId, sandboxId } of opened()) {
          if (isOpen(executor, sessionId)) expect(tiers.get(sandboxId)).toBe("hot");
        }
        for (const { call, to } of bound) {
          if (call.placement !== undefined) expect(call.placement.sandboxId).toBe(to.sandboxId);
          const { code } = (call.error ?? {}) as { code?: string };
          if (code !== undefined) expect(ENDS).toContain(code);
        }
        expect(executor.sessions().length).toBeLessThanOrEqual(4);
      }
      joins += bound.filter(({ call }) => call.placement !== undefined).length;
      channels.runMs = 10;
      for (const call of [...channels.calls]) call.answer();
      await clock.advance(240_000);
      for (const call of calls) expect(call.ends).toBe(call.isCancelled === true ? 0 : 1);
      expect(executor.sessions()).toEqual([]);
      expect(executor.view()).toMatchObject({ running: 0, waiting: 0, sandboxes: 0, reserved: NO_RESOURCES });
      const drained = executor.drain({ deadlineMs: 1_000, keepWarm: false });
      await clock.advance(60_000);
      await drained;
      await Promise.all(pauses);
      expect(driver.live.size).toBe(0);
      await executor[Symbol.asyncDispose]();
      expect(clock.pendingTimers).toBe(0);
    }),
    { numRuns: 100 },
  );
  // The schedules did what they are for.
  expect(joins).toBeGreaterThan(30);
}, 120_000);
