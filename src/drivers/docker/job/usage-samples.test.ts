import { expect, test } from "vitest";
import { poll } from "../../../../test/support/poll.ts";
import type { SandboxUsage } from "../../../core/index.ts";
import { UsageSamples } from "./usage-samples.ts";

const never = (): AbortSignal => new AbortController().signal;

test("CPU never goes back, the peak is the highest seen, and what has ended keeps its last figures", async () => {
  const seen: SandboxUsage[] = [
    { cpuMs: 5, memoryBytes: 100, memoryPeakBytes: undefined },
    { cpuMs: 9, memoryBytes: 300, memoryPeakBytes: 350 },
    { cpuMs: 0, memoryBytes: 0, memoryPeakBytes: undefined },
  ];
  const samples = new UsageSamples(async () => seen.shift() as SandboxUsage, never());
  await samples.take(never());
  expect(samples.last).toEqual({ cpuMs: 5, memoryBytes: 100, memoryPeakBytes: 100 });
  await samples.take(never());
  await samples.take(never());
  expect(samples.last).toEqual({ cpuMs: 9, memoryBytes: 300, memoryPeakBytes: 350 });
});

test("it looks by itself until it is stopped, also past failures, and when the driver closes", async () => {
  for (const how of ["stop", "close"] as const) {
    let looks = 0;
    const closing = new AbortController();
    const samples = new UsageSamples(async () => {
      looks += 1;
      if (looks === 1) throw new Error("not yet");
      return { cpuMs: looks, memoryBytes: 1, memoryPeakBytes: undefined };
    }, closing.signal);
    samples.start();
    await poll("two looks", async () => looks >= 2 || `${looks} so far`);
    if (how === "stop") samples.stop();
    else closing.abort();
    const before = looks;
    await new Promise((resolve) => setTimeout(resolve, 450));
    expect(looks - before).toBeLessThanOrEqual(1);
    expect(samples.last.cpuMs).toBeGreaterThanOrEqual(2);
  }
});
