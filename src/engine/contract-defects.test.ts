/**
 * Defects of the known implementation (`docs/contract-defects.md`) that the executor alone decides, and that no other test
 * here would notice.
 */
import { expect, test } from "vitest";
import { record, task, testExecutor } from "../../test/support/test-executor.ts";
import { settle } from "../../test/support/virtual-clock.ts";
import { MEBIBYTE, NO_RESOURCES } from "../core/index.ts";

type Parts = Awaited<ReturnType<typeof testExecutor>>;

/** Leaves a warm, idle sandbox of each task, in this order. */
async function fill(
  { executor, channels, clock }: Parts,
  ...tasks: ReturnType<typeof task>[]
): Promise<void> {
  for (const one of tasks) {
    record(executor, one);
    await clock.advance(10);
    channels.calls[0]?.answer();
    await settle();
  }
}

test("defect 3: a pull that is stuck delays no other task, and ends in time", async () => {
  const { executor, driver, clock } = await testExecutor({ pullTimeoutMs: 5_000 });
  driver.script("resolve", "hang");
  const stuck = record(executor, task("stuck"));
  await settle();
  const other = record(executor, task("other"));
  await clock.advance(10);
  expect([other.placement?.start, stuck.ends]).toEqual(["cold", 0]);
  await clock.advance(5_500);
  expect(stuck.error).toMatchObject({ code: "IMAGE_PULL_FAILED", facts: { image: "stuck" } });
});

test("defect 5: an enclave request never meets a plain server, nor the reverse", async () => {
  const parts = await testExecutor({}, { capabilities: { isolation: ["container", "sgx"] } });
  const enclave = { ...task("a"), sgx: true };
  await fill(parts, task("a"), enclave);
  const again = [record(parts.executor, enclave), record(parts.executor, task("a"))];
  await settle();
  const sgxOf = new Map(parts.driver.started.map((spec) => [spec.sandboxId, spec.task.sgx]));
  expect([...sgxOf.values()]).toEqual([false, true]);
  expect(again.map(({ placement }) => placement?.start)).toEqual(["warm", "warm"]);
  expect(again.map(({ placement }) => placement && sgxOf.get(placement.sandboxId))).toEqual([true, false]);
});

test("defect 5: SGX together with a GPU is refused with both named, whatever the host has, and nothing is booked or looked up", async () => {
  for (const isolation of [["container"], ["container", "sgx"]] as const) {
    const { executor, driver } = await testExecutor({}, { capabilities: { isolation } });
    const both = { ...task("a"), sgx: true, resources: { ...task("a").resources, gpuCount: 1 } };
    const call = record(executor, both);
    await settle();
    expect(call.error).toMatchObject({ code: "SGX_UNAVAILABLE", facts: { gpuCount: 1 } });
    expect(call.error?.message).toContain("SGX or GPUs, not both");
    expect([executor.view().reserved, driver.resolved]).toEqual([NO_RESOURCES, []]);
  }
});

test("defect 7: where GPUs are switched on and none are, only the calls for them are refused", async () => {
  const { executor, clock } = await testExecutor({ hasGpu: true });
  const plain = record(executor, task("a"));
  const wishing = record(executor, { ...task("a"), resources: { ...task("a").resources, gpuCount: 1 } });
  await clock.advance(10);
  expect(plain.placement?.start).toBe("cold");
  expect(wishing.error).toMatchObject({ code: "GPU_UNAVAILABLE", facts: { asked: 1, offered: 0 } });
  expect(executor.view().capacity.gpuCount).toBe(0);
});

test("defect 8: tenths of a core are booked as they are and come back whole", async () => {
  const parts = await testExecutor({ cpuMillis: 1_500 });
  await fill(parts, task("a", 0.1), task("b", 0.2), task("c", 0.7), task("d", 0.5));
  expect(parts.executor.view().reserved.cpuMillis).toBe(1_500);
  await parts.clock.advance(61_000);
  expect(parts.executor.view().reserved).toEqual(NO_RESOURCES);
  const whole = record(parts.executor, task("e", 1.5));
  await parts.clock.advance(10);
  expect(whole.placement).toBeDefined();
});

test("defect 9: what was removed for want of room starts anew at its next call, as another sandbox", async () => {
  const parts = await testExecutor({ memoryBytes: 200 * MEBIBYTE });
  const { executor, driver, clock, channels } = parts;
  await fill(parts, task("a", 1, 100), task("b", 1, 100), task("c", 1, 100));
  expect([...driver.live].map((sandbox) => sandbox.task.image)).toEqual(["b", "c"]);
  const again = record(executor, task("a", 1, 100));
  await clock.advance(10);
  channels.calls[0]?.answer("anew");
  expect([again.text, again.placement?.start]).toEqual(["anew", "cold"]);
  expect([...driver.live].map((sandbox) => sandbox.task.image)).toEqual(["c", "a"]);
  expect(new Set(driver.started.map((spec) => spec.sandboxId)).size).toBe(4);
});

test("defect 11: however often a start has failed, each caller is told the cause", async () => {
  const { executor, driver, clock } = await testExecutor();
  driver.script("start", ...Array.from({ length: 100 }, () => "reject" as const));
  const errors: Error[] = [];
  for (let at = 0; at < 20; at += 1) {
    const call = record(executor, task("a"));
    await clock.advance(100);
    if (call.error !== undefined) errors.push(call.error);
  }
  const [first] = errors;
  expect(first).toMatchObject({ code: "SANDBOX_START_FAILED" });
  expect(errors).toHaveLength(20);
  for (const { message } of errors) expect(message).toContain(first?.message);
  expect(driver.live.size).toBe(0);
});

test("defect 12: a server that dies while idle is gone before the next call, which starts anew", async () => {
  const parts = await testExecutor();
  const { executor, driver, clock, channels } = parts;
  await fill(parts, task("a"));
  [...driver.live][0]?.die({ type: "exited", exitCode: 1 });
  await clock.advance(10);
  expect(executor.view()).toMatchObject({ sandboxes: 0, reserved: NO_RESOURCES });
  const next = record(executor, task("a"));
  await clock.advance(10);
  channels.calls[0]?.answer("anew");
  expect([next.text, next.placement?.start]).toEqual(["anew", "cold"]);
});

test("a host without free memory lets a start wait, without evicting anybody, until it has some", async () => {
  const parts = await testExecutor({ queueTimeoutMs: 5_000 });
  const { executor, driver, clock } = parts;
  await fill(parts, task("idle"));
  const usage = { cpuPercent: 0, memoryPercent: 99, memoryAvailableBytes: 127 * MEBIBYTE };
  parts.hostUsage = usage;
  const late = record(executor, task("late"));
  await clock.advance(5_500);
  expect(late.error).toMatchObject({ code: "QUEUE_TIMEOUT" });
  expect(late.error?.message).toContain("the host itself has too little free memory");
  const patient = record(executor, task("patient"));
  await clock.advance(1_000);
  parts.hostUsage = { ...usage, memoryAvailableBytes: 128 * MEBIBYTE };
  await clock.advance(300);
  expect(patient.placement?.start).toBe("cold");
  expect([...driver.live].map((sandbox) => sandbox.task.image)).toEqual(["idle", "patient"]);
});

test("defect 14: what tasks make of the host's load counts once, in the books", async () => {
  const parts = await testExecutor({ cpuMillis: 4_000 });
  const { executor, driver, clock } = parts;
  await fill(parts, task("idle"));
  parts.hostUsage = { cpuPercent: 100, memoryPercent: 95, memoryAvailableBytes: 128 * MEBIBYTE };
  const burst = ["a", "b", "c"].map((image) => record(executor, task(image)));
  await clock.advance(10);
  expect(burst.map(({ placement, error }) => [placement?.start, error])).toEqual(
    burst.map(() => ["cold", undefined]),
  );
  expect([...driver.live].map((sandbox) => sandbox.task.image)).toEqual(["idle", "a", "b", "c"]);
  expect(executor.sandboxes().map(({ tier }) => tier)).toEqual(["hot", "hot", "hot", "hot"]);
});

test("defect 20: a warm call asks the driver for nothing", async () => {
  const parts = await testExecutor();
  const { executor, driver, channels } = parts;
  await fill(parts, task("a"));
  for (let at = 0; at < 100; at += 1) {
    const call = record(executor, task("a"));
    channels.calls[0]?.answer("warm");
    expect(call.text).toBe("warm");
  }
  expect([driver.resolved, driver.started.length]).toEqual([["a"], 1]);
});

test("defect 20: a removal that takes long delays neither warm calls nor cold starts", async () => {
  const parts = await testExecutor({}, { stopMs: 60_000 });
  const { executor, clock } = parts;
  await fill(parts, task("goes"), task("stays"));
  const [goes] = executor.sandboxes();
  if (goes === undefined) throw new Error("no sandbox");
  const evicted = executor.evict(goes.sandboxId, { isForced: false });
  const [warm, cold, same] = ["stays", "new", "goes"].map((image) => record(executor, task(image)));
  await clock.advance(10);
  expect([warm, cold, same].map((call) => call?.placement?.start)).toEqual(["warm", "cold", "cold"]);
  expect(executor.sandboxes().map(({ tier }) => tier)).toContain("stopping");
  await clock.advance(60_000);
  await evicted;
});

test("decision 1: with a microVM runtime configured that is not there, microVM calls are refused and others run", async () => {
  const { executor, driver, clock } = await testExecutor({
    runtimes: [{ name: "kata", isolation: "microVM", limits: "required" }],
  });
  const strong = record(executor, { ...task("a"), isolation: "microVM" });
  const plain = record(executor, task("a"));
  await clock.advance(10);
  expect(strong.error).toMatchObject({
    code: "ISOLATION_UNAVAILABLE",
    facts: { asked: "microVM", offered: ["container"] },
  });
  expect(plain.placement?.start).toBe("cold");
  expect(driver.started).toHaveLength(1);
});
