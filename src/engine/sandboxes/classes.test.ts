import { expect, test } from "vitest";
import { record, task, testExecutor } from "../../../test/support/test-executor.ts";
import type { ClassReport, IsolationClass, RuntimeSetting } from "../../core/index.ts";
import type { FakeDriver } from "../../drivers/fake/fake-driver.ts";

const report = (
  isolation: IsolationClass,
  state: ClassReport["state"],
  ...reasons: readonly string[]
): ClassReport => ({ isolation, runtime: undefined, state, reasons, sight: undefined });

/** A driver that reaches whatever class it is asked for, and says of its classes what it is told. */
function reaching(driver: FakeDriver, reports: () => readonly ClassReport[]): void {
  const start = driver.start.bind(driver);
  driver.classes = reports;
  driver.start = async (spec, signal) => {
    const sandbox = await start(spec, signal);
    const { isolation } = spec.task;
    for (const one of driver.live) {
      if (one.id === sandbox.id && isolation !== "default") one.isolation = isolation;
    }
    return sandbox;
  };
}

const ALL = [report("container", "usable"), report("gvisor", "usable"), report("microVM", "usable")];
const KATA: RuntimeSetting = { name: "kata", isolation: "microVM", limits: "required" };
const strong = (image: string, cpu = 1) => ({ ...task(image, cpu), isolation: "microVM" as const });

test("a class that is unusable is refused with why, and with what is there instead", async () => {
  const reports = [
    report("container", "usable"),
    report("microVM", "unusable", "it is plain runc", "and slow"),
    report("sgx", "unusable", "it is off"),
  ];
  const { executor, driver, clock } = await testExecutor({}, {}, (fake) => reaching(fake, () => reports));
  const calls = [record(executor, strong("a")), record(executor, { ...task("a"), isolation: "gvisor" })];
  await clock.advance(10);
  expect(calls[0]?.error).toMatchObject({
    code: "ISOLATION_UNAVAILABLE",
    facts: {
      asked: "microVM",
      reason: "it is plain runc; and slow",
      offered: ["container"],
      missing: ["sgx: it is off"],
    },
  });
  expect(calls[1]?.error).toMatchObject({
    code: "ISOLATION_UNAVAILABLE",
    facts: {
      asked: "gvisor",
      reason: "nothing on this host is configured for it; its operator can name a runtime in runtimes",
    },
  });
  expect(driver.started).toEqual([]);
});

test("one whose probe has not ended is let through to its start, which waits for that", async () => {
  const reports = [report("container", "unproven"), report("microVM", "unproven")];
  const { executor, driver, clock } = await testExecutor({}, {}, (fake) => reaching(fake, () => reports));
  record(executor, strong("a"));
  record(executor, task("b"));
  await clock.advance(10);
  expect(driver.started.map(({ task: { image } }) => image)).toEqual(["a", "b"]);
});

test("a class that was refused is tested again when it is asked for, once in 30 s, and what is not configured never", async () => {
  let reports = [report("container", "usable"), report("microVM", "unusable", "not there")];
  const tested: (IsolationClass | undefined)[] = [];
  const { executor, clock } = await testExecutor({}, {}, (fake) => {
    reaching(fake, () => reports);
    fake.probe = async (_signal, isolation) => {
      tested.push(isolation);
      if (tested.length === 2) reports = ALL;
      return reports;
    };
  });
  for (let i = 0; i < 5; i += 1) record(executor, strong("a"));
  record(executor, { ...task("a"), isolation: "gvisor" });
  await clock.advance(29_000);
  record(executor, strong("a"));
  await clock.advance(0);
  expect(tested).toEqual(["microVM"]);
  await clock.advance(1_500);
  expect(record(executor, strong("a")).placement).toBeUndefined();
  await clock.advance(10);
  expect(tested).toEqual(["microVM", "microVM"]);
  const call = record(executor, strong("a"));
  await clock.advance(10);
  expect(call.placement?.isolation).toBe("microVM");
});

test("a class that only jobs ask for is tested again as well", async () => {
  let reports = [report("container", "usable"), report("microVM", "unusable", "not there")];
  const { executor, clock } = await testExecutor({}, {}, (fake) => {
    reaching(fake, () => reports);
    fake.probe = async () => {
      reports = ALL;
      return reports;
    };
  });
  expect(() => executor.jobs.check(strong("a"))).toThrow();
  await clock.advance(10);
  expect(() => executor.jobs.check(strong("a"))).not.toThrow();
});

test("a warm sandbox is retired when its class is given to another runtime, one of another class is not", async () => {
  const { executor, driver, channels, clock } = await testExecutor({ runtimes: [KATA] }, {}, (fake) =>
    reaching(fake, () => ALL),
  );
  const [busy, plain] = [record(executor, strong("a")), record(executor, task("b"))];
  await clock.advance(10);
  for (const call of [...channels.calls]) if (call.sandboxId !== busy.placement?.sandboxId) call.answer();
  executor.configure({ ...executor.settings(), runtimes: [KATA] });
  await clock.advance(10);
  expect(driver.live.size).toBe(2);
  executor.configure({ ...executor.settings(), runtimes: [{ ...KATA, name: "kata-fc" }] });
  const next = record(executor, strong("a"));
  await clock.advance(10);
  expect(next.placement?.sandboxId).not.toBe(busy.placement?.sandboxId);
  expect(busy.ends).toBe(0);
  channels.calls.find(({ sandboxId }) => sandboxId === busy.placement?.sandboxId)?.answer();
  await clock.advance(10);
  expect(busy).toMatchObject({ ends: 1, error: undefined });
  expect(plain.ends).toBe(1);
  expect([...driver.live].map(({ id }) => id).sort()).toEqual(
    [plain.placement?.sandboxId, next.placement?.sandboxId].sort(),
  );
});

test("for want of CPU an idle container is frozen, and an idle gVisor or microVM sandbox removed", async () => {
  const parts = await testExecutor({ cpuMillis: 1000 }, {}, (fake) => reaching(fake, () => ALL));
  const { executor, driver, channels, clock } = parts;
  for (const isolation of ["microVM", "gvisor", "container"] as const) {
    record(executor, { ...task(isolation), isolation });
    await clock.advance(10);
    channels.calls[0]?.answer();
    await clock.advance(10);
  }
  record(executor, task("last"));
  await clock.advance(10);
  expect([...driver.live].map(({ task: { image }, isFrozen }) => [image, isFrozen])).toEqual([
    ["container", true],
    ["last", false],
  ]);
});
