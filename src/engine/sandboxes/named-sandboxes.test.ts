import { expect, test } from "vitest";
import type { TestExecutor } from "../../../test/support/test-executor.ts";
import { record, task, testExecutor } from "../../../test/support/test-executor.ts";
import type { LogChunk } from "../../core/index.ts";

const NEVER = new AbortController().signal;

/** Starts one that prints a line, with a call in it. */
async function start({ executor, driver, clock }: TestExecutor, image: string): Promise<void> {
  record(executor, task(image));
  await clock.advance(100);
  const sandbox = [...driver.live].at(-1);
  if (sandbox !== undefined) sandbox.printed = `${image} in ${sandbox.id}\n`;
}

async function die({ driver, clock }: TestExecutor, sandboxId: string): Promise<void> {
  [...driver.live].find((one) => one.id === sandboxId)?.die({ type: "exited", exitCode: 1 });
  await clock.advance(1000);
}

async function followed(chunks: AsyncIterable<LogChunk>): Promise<string> {
  let all = "";
  for await (const { text } of chunks) all += text;
  return all;
}

test("logs by an image or the beginning of an id: those of the newest that has ended, and of a living one before all", async () => {
  const parts = await testExecutor();
  const { executor } = parts;
  await start(parts, "echo:latest");
  await die(parts, "s1");
  await start(parts, "echo:latest");
  await die(parts, "s2");
  const second = { text: "echo:latest in s2\n", isTruncated: false, sandboxId: "s2", hasEnded: true };
  for (const which of ["echo", "echo:latest", "s2", "s"]) {
    expect(await executor.tailLog(which, 100, NEVER), which).toEqual(second);
    expect(await followed(executor.followLog(which, 100, NEVER)), which).toBe(second.text);
  }
  expect(await executor.tailLog("s1", 100, NEVER)).toMatchObject({ sandboxId: "s1", hasEnded: true });

  await start(parts, "echo:latest");
  for (const which of ["echo", "s"]) {
    expect(await executor.tailLog(which, 100, NEVER), which).toMatchObject({
      sandboxId: "s3",
      hasEnded: false,
    });
    expect(await followed(executor.followLog(which, 100, NEVER)), which).toBe("echo:latest in s3\n");
  }
  // A whole id means one and no other.
  expect(await executor.tailLog("s2", 100, NEVER)).toEqual(second);
  await expect(executor.tailLog("nobody", 100, NEVER)).rejects.toMatchObject({ code: "SANDBOX_NOT_FOUND" });
});

test("one whose removal takes its time is not asked any more: what it said is kept", async () => {
  const parts = await testExecutor();
  await start(parts, "echo:latest");
  parts.driver.script("stop", "hang");
  await die(parts, "s1");
  expect([...parts.driver.live].map(({ id }) => id)).toEqual(["s1"]);
  for (const which of ["s1", "echo"])
    expect(await parts.executor.tailLog(which, 100, NEVER), which).toMatchObject({
      text: "echo:latest in s1\n",
      hasEnded: true,
    });
});
