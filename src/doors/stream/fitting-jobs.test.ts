import { expect, test } from "vitest";
import { jobRequest } from "../../../test/support/job-order.ts";
import { NEVER } from "../../../test/support/running-jobs.ts";
import { testExecutor } from "../../../test/support/test-executor.ts";
import { parseImagesFile } from "../../contract/executer-tracker/index.ts";
import type { Executor } from "../../engine/executor.ts";
import { fittingJobs } from "./fitting-jobs.ts";

const SMALL = { image: "small", cpus: 1, memory: 100 };
const BIG = { image: "big", cpus: 4, memory: 100 };
const HUGE = { image: "huge", cpus: 5, memory: 100 };
const MOST = 8;

/** Asked of an executor with four cores. */
function fitting(
  executor: Executor,
  types: object,
  most = MOST,
  disk: (bytes?: number) => boolean = () => true,
): number {
  const parsed = parseImagesFile(JSON.stringify(types));
  if (!parsed.isValid) throw new Error(parsed.faults.join());
  const defaults = () => ({
    cpuMillis: 500,
    memoryBytes: 1e6,
    gpuCount: 0,
    pidsLimit: undefined,
    network: "default" as const,
    timeLimitMs: 1e6,
  });
  return fittingJobs({ options: { types: parsed.types, executor, defaults }, disk: { fits: disk } }, most);
}

test("as many are claimed as the books can hold, whatever they turn out to be", async () => {
  const { executor } = await testExecutor({ cpuMillis: 4_000 });
  expect(fitting(executor, { small: SMALL })).toBe(4);
  expect(fitting(executor, { small: SMALL }, 3)).toBe(3);
  expect(fitting(executor, { plain: "plain" }, 1000)).toBe(8);
  expect(fitting(executor, { big: BIG })).toBe(1);
  expect(fitting(executor, { small: SMALL, big: BIG })).toBe(1);
  expect(fitting(executor, { small: SMALL, half: "plain" })).toBe(4);
});

test("one where only some types have room, none where no type has any", async () => {
  const { executor } = await testExecutor({ cpuMillis: 4_000 });
  await executor.jobs.reserve(jobRequest("a", 2), NEVER);
  expect(fitting(executor, { small: SMALL })).toBe(2);
  expect(fitting(executor, { small: SMALL, big: BIG })).toBe(1);
  expect(fitting(executor, { big: BIG })).toBe(0);
  await executor.jobs.reserve(jobRequest("b", 2), NEVER);
  expect(fitting(executor, { small: SMALL, big: BIG })).toBe(0);
});

test("a type whose jobs this host can never run keeps nobody else's back", async () => {
  const { executor } = await testExecutor({ cpuMillis: 4_000 });
  expect(fitting(executor, { small: SMALL, huge: HUGE })).toBe(4);
  expect(fitting(executor, { huge: HUGE })).toBe(0);
});

test.each([
  ["class", { isolation: "gvisor" }],
  ["network", { network: "egress" }],
])("nor does one whose %s is not on offer here", async (_what, more) => {
  const { executor } = await testExecutor({ cpuMillis: 4_000 }, {}, (driver) => {
    driver.networks = () => ({ default: "none", offered: ["none"], isFiltered: true, reasons: [] });
  });
  expect(fitting(executor, { small: SMALL, other: { ...SMALL, ...more } })).toBe(4);
  expect(fitting(executor, { other: { ...SMALL, ...more } })).toBe(0);
});

test("the disk is asked for all of them together", async () => {
  const { executor } = await testExecutor({ cpuMillis: 4_000 });
  const room = (bytes = 0): boolean => bytes <= 25 * 1_048_576;
  expect(fitting(executor, { small: { ...SMALL, disk: 10 } }, MOST, room)).toBe(2);
  expect(fitting(executor, { small: { ...SMALL, disk: 30 } }, MOST, room)).toBe(0);
});
