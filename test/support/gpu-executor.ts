import type { GpuMonitor, Settings } from "../../src/core/index.ts";
import type { FakeDriver } from "../../src/drivers/fake/fake-driver.ts";
import { GIBIBYTE } from "./fake-gpus.ts";
import type { gpuTask, TestExecutor } from "./test-executor.ts";
import { record, testExecutor } from "./test-executor.ts";

/** What a card reads while something uses it, and while nothing does. */
export const IN_USE = { computePercent: 60, memoryUsedBytes: 8 * GIBIBYTE };
export const UNUSED = { computePercent: 0, memoryUsedBytes: 0 };

/** An executor that gives these cards to tasks. */
export function withGpus(
  gpus: GpuMonitor,
  settings: Partial<Settings> = {},
  prepare?: (driver: FakeDriver) => void,
): Promise<TestExecutor> {
  return testExecutor({ hasGpu: true, ...settings }, {}, prepare, undefined, gpus);
}

/** The cards of everything that exists, by the image that it runs. */
export function cardsByImage({ driver }: TestExecutor): Record<string, readonly string[]> {
  const live = new Set([...driver.live].map((sandbox) => sandbox.id));
  const specs = driver.started.filter((spec) => live.has(spec.sandboxId));
  return Object.fromEntries(specs.map((spec) => [spec.task.image, spec.gpuIds]));
}

/** Calls a task and answers: it stays warm and idle. */
export async function warm(parts: TestExecutor, spec: ReturnType<typeof gpuTask>): Promise<void> {
  record(parts.executor, spec);
  await parts.clock.advance(1);
  parts.channels.calls.at(-1)?.answer();
  await parts.clock.advance(1);
}
