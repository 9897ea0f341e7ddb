import { expect, test } from "vitest";
import { fill, record, task, testExecutor } from "../../../test/support/test-executor.ts";

const signal = new AbortController().signal;

test("while nothing can be started, a new sandbox or one that is to wake is refused with the reason; a warm one is not", async () => {
  const parts = await testExecutor({ cpuMillis: 1000, memoryBytes: 1024 * 1_048_576 });
  await fill(parts, task("frozen"));
  const busy = record(parts.executor, task("warm"));
  await parts.clock.advance(100);
  expect(busy.placement).toBeDefined();
  parts.driver.ailment = "no such socket";
  const told = async (image: string): Promise<string> => {
    const verdict = await parts.executor.explain(task(image), "http", signal);
    return verdict.type === "refused" ? verdict.error.message : verdict.type;
  };
  expect(await told("warm")).toBe("warm");
  for (const image of ["new", "frozen"]) expect(await told(image)).toContain("no such socket");
  parts.driver.ailment = undefined;
  expect(await told("frozen")).not.toContain("no such socket");
});
