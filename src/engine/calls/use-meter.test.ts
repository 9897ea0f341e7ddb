import { expect, test } from "vitest";
import { settle, VirtualClock } from "../../../test/support/virtual-clock.ts";
import type { SandboxUsage } from "../../core/index.ts";
import { UseMeter } from "./use-meter.ts";

/** A sandbox whose counters a test moves, and a meter that reads them. */
function metered() {
  const clock = new VirtualClock();
  const counters = { cpuMs: 500, memoryBytes: 0, memoryPeakBytes: 1000 };
  const state = { readings: 0, isGone: false };
  const read = (): Promise<SandboxUsage> => {
    state.readings += 1;
    return state.isGone ? Promise.reject(new Error("gone")) : Promise.resolve({ ...counters });
  };
  const meter = new UseMeter({ clock, readings: 0 }, read);
  const told: unknown[] = [];
  const sink = {
    measured: (token: number, cpuMs: number, peak: number, reading: string) =>
      told.push([token, Math.round(cpuMs * 1000) / 1000, peak, reading]),
  };
  const begin = (): { end(token: number): void } => {
    const fromMs = clock.nowMs();
    const ticket = meter.took(fromMs);
    return {
      end: (token) => {
        const wasAlone = meter.wasAlone(ticket);
        meter.gave(clock.nowMs());
        meter.measure(fromMs, clock.nowMs(), wasAlone, sink, token);
      },
    };
  };
  return { clock, counters, state, meter, told, begin };
}

test("W: a call that is alone gets what its sandbox used meanwhile, and nothing of its start", async () => {
  const { clock, counters, told, begin } = metered();
  await settle();
  const call = begin();
  counters.cpuMs += 30;
  counters.memoryPeakBytes = 4000;
  await clock.advance(40);
  call.end(1);
  await clock.advance(100);
  expect(told).toEqual([[1, 30, 4000, "own"]]);
});

test("what a sandbox used while no call ran is nobody's", async () => {
  const { clock, counters, told, begin } = metered();
  await settle();
  await clock.advance(1000);
  counters.cpuMs += 700;
  const call = begin();
  await settle();
  counters.cpuMs += 8;
  await clock.advance(10);
  call.end(1);
  await clock.advance(100);
  expect(told).toEqual([[1, 8, 1000, "own"]]);
});

test("calls side by side share what was used by the time that each ran, and their sum is all of it", async () => {
  const { clock, counters, told, begin } = metered();
  await settle();
  const long = begin();
  await clock.advance(100);
  const short = begin();
  await clock.advance(100);
  counters.cpuMs += 90;
  short.end(1);
  await clock.advance(100);
  counters.cpuMs += 30;
  long.end(2);
  await clock.advance(100);
  expect(told).toEqual([
    [1, 30, 1000, "shared"],
    [2, 90, 1000, "shared"],
  ]);
});

test("calls that end close together share one reading", async () => {
  const { clock, counters, state, told, begin } = metered();
  await settle();
  for (let call = 0; call < 20; call += 1) {
    const one = begin();
    await clock.advance(1);
    counters.cpuMs += 1;
    one.end(call);
  }
  await clock.advance(200);
  expect(told).toHaveLength(20);
  expect(state.readings).toBeLessThan(5);
  const sum = (told as [number, number][]).reduce((total, [, cpuMs]) => total + cpuMs, 0);
  expect(sum).toBeCloseTo(20, 5);
});

test("under thousands of calls a second readings are further apart, every call is still told its share, and then they are close again", async () => {
  const { clock, counters, state, told, begin } = metered();
  await settle();
  const busy = async (ms: number, calls: number): Promise<void> => {
    for (let at = 0; at < ms; at += 1) {
      const all = Array.from({ length: calls }, () => begin());
      counters.cpuMs += 1;
      await clock.advance(1);
      for (const one of all) one.end(at);
    }
  };
  await busy(100, 10);
  const before = state.readings;
  await busy(1000, 10);
  expect(state.readings - before).toBeLessThanOrEqual(6);
  await clock.advance(300);
  expect(told).toHaveLength(11_000);
  const sum = (told as [number, number][]).reduce((total, [, cpuMs]) => total + cpuMs, 0);
  // Those told a share rounded to a microsecond each: the test rounds, the meter does not.
  expect(Math.abs(sum - 1100)).toBeLessThan(6);
  await busy(300, 1);
  const quiet = state.readings;
  await busy(1000, 1);
  expect(state.readings - quiet).toBeGreaterThan(15);
});

test("a long call's use is told apart from that of hundreds that came and went beside it", async () => {
  const { clock, counters, told, begin } = metered();
  await settle();
  const long = begin();
  for (let call = 0; call < 600; call += 1) {
    const one = begin();
    counters.cpuMs += 100;
    await clock.advance(100);
    one.end(call);
  }
  long.end(600);
  await clock.advance(200);
  const [, cpuMs] = (told as [number, number][]).at(-1) ?? [];
  // Two ran at any time: it has half of everything.
  expect(cpuMs).toBeGreaterThan(29_000);
  expect(cpuMs).toBeLessThan(31_000);
});

test("a sandbox that is gone leaves its last calls unmeasured, and each is told so once", async () => {
  const { clock, state, meter, told, begin } = metered();
  await settle();
  state.isGone = true;
  const [one, other] = [begin(), begin()];
  one.end(1);
  await clock.advance(100);
  other.end(2);
  meter.end();
  await clock.advance(100);
  begin().end(3);
  expect(told).toEqual([
    [1, Number.NaN, Number.NaN, "none"],
    [2, Number.NaN, Number.NaN, "none"],
    [3, Number.NaN, Number.NaN, "none"],
  ]);
});
