import { describe, expect, test } from "vitest";
import { record, task, testExecutor } from "../../test/support/test-executor.ts";
import { settle } from "../../test/support/virtual-clock.ts";
import { ExecutorError, NO_RESOURCES } from "../core/index.ts";

describe("a call", () => {
  test("M5: two calls of one task meet one sandbox, the second one warm", async () => {
    const { executor, driver, channels, clock } = await testExecutor({}, { startMs: 100 });
    const first = record(executor, task("a"));
    await clock.advance(100);
    channels.calls[0]?.answer("one");
    const second = record(executor, task("a"));
    channels.calls[0]?.answer("two");
    await settle();
    expect(driver.started).toHaveLength(1);
    expect([first.text, first.placement?.start]).toEqual(["one", "cold"]);
    expect([second.text, second.placement?.start]).toEqual(["two", "warm"]);
  });

  test("M5: one image with two sizes gets two sandboxes", async () => {
    const { executor, driver, clock } = await testExecutor();
    record(executor, task("a", 1));
    record(executor, task("a", 0.5));
    await clock.advance(1);
    expect(driver.started.map((spec) => spec.task.resources.cpuMillis)).toEqual([1000, 500]);
  });

  test("callers of one key share one start", async () => {
    const { executor, driver, channels, clock } = await testExecutor({}, { startMs: 100 });
    const calls = Array.from({ length: 10 }, () => record(executor, task("a")));
    await clock.advance(100);
    expect(driver.started).toHaveLength(1);
    for (const call of [...channels.calls]) call.answer();
    expect(calls.every((call) => call.ends === 1 && call.error === undefined)).toBe(true);
  });

  test("a key gets a second sandbox when the slots of the first are full, and no more than it may have", async () => {
    const { executor, driver, clock } = await testExecutor({ slotsPerSandbox: 2, sandboxesPerTask: 2 });
    const calls = Array.from({ length: 5 }, () => record(executor, task("a")));
    await clock.advance(1);
    expect(driver.started).toHaveLength(2);
    expect(calls.filter((call) => call.placement !== undefined)).toHaveLength(4);
    expect(executor.waiting()[0]?.reason).toBe("all slots of its sandboxes are taken");
  });

  test("a slow start delays no warm call and no other start", async () => {
    const { executor, driver, channels, clock } = await testExecutor({}, { startMs: 10 });
    driver.script("start", "hang");
    const slow = record(executor, task("slow"));
    const other = record(executor, task("other"));
    await clock.advance(10);
    channels.calls[0]?.answer();
    expect(other.ends).toBe(1);
    expect(slow.ends).toBe(0);
    await clock.advance(66_000);
    expect(slow.error).toMatchObject({ code: "START_TIMEOUT" });
  });

  test("a task that is above the limit is refused at once and starts nothing", async () => {
    const { executor, driver } = await testExecutor();
    const call = record(executor, task("a", 4.1));
    expect(call.ends).toBe(0);
    await settle();
    expect(call.error).toMatchObject({ code: "RESOURCES_EXCEED_LIMIT", facts: { field: "resource.cpu" } });
    expect(driver.resolved).toEqual([]);
  });

  test("classes that the driver does not reach are refused with what is there", async () => {
    const { executor } = await testExecutor();
    const call = record(executor, { ...task("a"), isolation: "gvisor" });
    const sgx = record(executor, { ...task("a"), sgx: true });
    const gpu = record(executor, { ...task("a"), resources: { ...task("a").resources, gpuCount: 1 } });
    await settle();
    expect(call.error).toMatchObject({ code: "ISOLATION_UNAVAILABLE", facts: { offered: ["container"] } });
    expect(sgx.error).toMatchObject({ code: "SGX_UNAVAILABLE" });
    expect(gpu.error).toMatchObject({ code: "GPU_UNAVAILABLE", facts: { field: "gpu_count" } });
  });

  test("a failed start tells every caller, gives the room back and leaves nothing", async () => {
    const { executor, driver, clock } = await testExecutor();
    driver.script("start", "reject");
    const calls = [record(executor, task("a")), record(executor, task("a"))];
    await clock.advance(10);
    expect(calls.map((call) => call.error)).toMatchObject([
      { code: "SANDBOX_START_FAILED" },
      { code: "SANDBOX_START_FAILED" },
    ]);
    expect(executor.view().reserved).toEqual(NO_RESOURCES);
    expect(driver.live.size).toBe(0);
  });

  test("D12: a task that fails at every start is tried at most eight times a minute", async () => {
    const { executor, driver, clock } = await testExecutor();
    driver.script("start", ...Array.from({ length: 100 }, () => "reject" as const));
    const errors: unknown[] = [];
    for (let at = 0; at < 100; at += 1) {
      const call = record(executor, task("a"));
      await clock.advance(600);
      errors.push(call.error);
    }
    expect(driver.started.length).toBeLessThanOrEqual(8);
    expect(errors.every((error) => error instanceof Error)).toBe(true);
    expect(errors.at(-1)).toMatchObject({ code: "START_BACKOFF" });
  });

  test("what is not there is said each time, with its own code: nobody is told to try later", async () => {
    const { executor, driver, clock } = await testExecutor();
    driver.missing.add("a");
    const codes: string[] = [];
    for (let at = 0; at < 10; at += 1) {
      const call = record(executor, task("a"));
      await clock.advance(100);
      codes.push((call.error as ExecutorError).code);
    }
    expect(codes).toEqual(codes.map(() => "IMAGE_NOT_FOUND"));
    // Its registry is asked ever more seldom all the same.
    expect(driver.resolved.length).toBeLessThanOrEqual(3);
  });

  test("C1: an engine that is away is not held against a task: it starts at once when the engine is back", async () => {
    const { executor, driver, clock } = await testExecutor();
    driver.script("resolve", ...Array.from({ length: 10 }, () => "reject" as const));
    for (let at = 0; at < 10; at += 1) {
      const call = record(executor, task("a"));
      await clock.advance(10);
      expect(call.error).toMatchObject({ code: "ENGINE_FAILED" });
    }
    const call = record(executor, task("a"));
    await clock.advance(10);
    expect(call.placement?.start).toBe("cold");
  });

  test("an unknown image is an error for its callers only", async () => {
    const { executor, driver, clock } = await testExecutor();
    driver.missing.add("nope");
    const call = record(executor, task("nope"));
    await clock.advance(1);
    expect(call.error).toMatchObject({ code: "IMAGE_NOT_FOUND", facts: { image: "nope" } });
    expect(executor.view()).toMatchObject({ reserved: NO_RESOURCES, sandboxes: 0, waiting: 0 });
  });

  test("one that finds its warm server unreachable is placed again in a new one, since nothing was sent", async () => {
    const { executor, driver, channels, clock } = await testExecutor();
    record(executor, task("a"));
    await clock.advance(1);
    channels.calls[0]?.answer();
    channels.unreachable.add("s1");
    const call = record(executor, task("a"));
    await clock.advance(1);
    channels.calls[0]?.answer("from the new one");
    expect(call.text).toBe("from the new one");
    expect([call.placement?.sandboxId, call.placement?.start]).toEqual(["s2", "cold"]);
    expect(driver.started).toHaveLength(2);
    expect(driver.live.size).toBe(1);
  });

  test("a call that is cut off by its sandbox's end says why it ended", async () => {
    const { executor, driver, channels, clock } = await testExecutor();
    const call = record(executor, task("a"));
    await clock.advance(1);
    channels.calls[0]?.fail(new ExecutorError("TASK_EXITED"));
    [...driver.live][0]?.die({ type: "memory", limitBytes: 99 });
    await clock.advance(1);
    expect(call.error).toMatchObject({ code: "TASK_OUT_OF_MEMORY", facts: { limitBytes: 99 } });
    expect(executor.view().sandboxes).toBe(0);
  });

  test("a call whose connection broke is told so soon where the task lives on, and once nothing else is known where that is not known", async () => {
    const { executor, driver, channels, clock } = await testExecutor();
    const first = record(executor, task("a"));
    await clock.advance(1);
    const { sandboxId } = channels.calls[0] ?? { sandboxId: "" };
    channels.serving.add(sandboxId);
    channels.calls[0]?.fail(new ExecutorError("TASK_EXITED", { reason: "ECONNRESET" }));
    await settle();
    // It may be dying: one look is not enough.
    expect(first.error).toBeUndefined();
    await clock.advance(100);
    expect(first.error).toMatchObject({ code: "TASK_BROKE_OFF", facts: { reason: "ECONNRESET" } });
    expect(driver.live.size).toBe(1);

    channels.serving.delete(sandboxId);
    const second = record(executor, task("a"));
    await clock.advance(1);
    channels.calls[0]?.fail(new ExecutorError("TASK_EXITED"));
    await settle();
    expect(second.error).toBeUndefined();
    await clock.advance(2_500);
    expect(second.error).toMatchObject({ code: "TASK_BROKE_OFF" });
    expect(driver.live.size).toBe(1);
  });

  test("a sandbox that takes one more connection while it dies is told by its end all the same", async () => {
    const { executor, driver, channels, clock } = await testExecutor();
    const call = record(executor, task("a"));
    await clock.advance(1);
    const { sandboxId } = channels.calls[0] ?? { sandboxId: "" };
    channels.serving.add(sandboxId);
    channels.calls[0]?.fail(new ExecutorError("TASK_EXITED", { reason: "ECONNRESET" }));
    await clock.advance(50);
    expect(call.error).toBeUndefined();
    channels.serving.delete(sandboxId);
    await clock.advance(1_000);
    [...driver.live][0]?.die({ type: "signalled", signal: "SIGKILL" });
    await clock.advance(1);
    expect(call.error).toMatchObject({ code: "TASK_EXITED", facts: { signal: "SIGKILL" } });
  });

  test("a call past its deadline ends, and its sandbox is given up", async () => {
    const { executor, driver, clock } = await testExecutor({ runTimeoutMs: 5_000 });
    const call = record(executor, task("a"));
    await clock.advance(5_500);
    expect(call.error).toMatchObject({ code: "RUN_TIMEOUT" });
    expect(driver.live.size).toBe(0);
  });

  test("those that run in a sandbox that is given up end first, however many more of its calls run out of time", async () => {
    const { executor, driver, channels, clock } = await testExecutor();
    const late = [1_000, 2_000].map((runTimeoutMs) => record(executor, task("a"), { runTimeoutMs }));
    const good = record(executor, task("a"));
    await clock.advance(3_000);
    expect(late.map((call) => call.error)).toMatchObject([{ code: "RUN_TIMEOUT" }, { code: "RUN_TIMEOUT" }]);
    expect([good.ends, driver.live.size, executor.view().running]).toEqual([0, 1, 1]);
    channels.calls[0]?.answer("whole");
    await clock.advance(10);
    expect([good.text, good.error, driver.live.size]).toEqual(["whole", undefined, 0]);
  });
});

describe("a caller who goes away", () => {
  test("while waiting is dropped from the line", async () => {
    const { executor, clock } = await testExecutor({ cpuMillis: 1000 });
    record(executor, task("a"));
    await clock.advance(1);
    const waiting = record(executor, task("b"));
    await clock.advance(1);
    waiting.cancel();
    expect(executor.view().waiting).toBe(0);
    expect(waiting.ends).toBe(0);
  });

  test("while running leaves the work to finish when the setting says so", async () => {
    const { executor, channels, clock } = await testExecutor();
    const call = record(executor, task("a"));
    await clock.advance(1);
    call.cancel();
    expect(executor.view().running).toBe(1);
    channels.calls[0]?.answer();
    expect(executor.view()).toMatchObject({ running: 0, sandboxes: 1 });
    expect(call.ends).toBe(0);
  });

  test("while running takes the sandbox with it when the setting says so", async () => {
    const { executor, driver, clock } = await testExecutor({ onDisconnect: "cancel" });
    const call = record(executor, task("a"));
    await clock.advance(1);
    call.cancel();
    await clock.advance(1);
    expect(driver.live.size).toBe(0);
  });

  test("while others run in the sandbox that goes with it leaves them to end, and so does the next one who goes", async () => {
    const { executor, driver, channels, clock } = await testExecutor({ onDisconnect: "cancel" });
    const [first, second, good] = ["1", "2", "3"].map(() => record(executor, task("a")));
    await clock.advance(1);
    first?.cancel();
    second?.cancel();
    await clock.advance(1);
    expect([channels.calls.length, driver.live.size]).toEqual([1, 1]);
    channels.calls[0]?.answer("whole");
    await clock.advance(1);
    expect([good?.text, good?.error, driver.live.size]).toEqual(["whole", undefined, 0]);
  });

  test("of a stream closes the connection and keeps the sandbox", async () => {
    const { executor, driver, channels, clock } = await testExecutor({ onDisconnect: "cancel" });
    const call = record(executor, task("a"), { onCancel: "close" });
    await clock.advance(1);
    call.cancel();
    await clock.advance(1);
    expect(channels.calls).toHaveLength(0);
    expect(driver.live.size).toBe(1);
    expect(executor.view().running).toBe(0);
  });
});
