import { expect, test } from "vitest";
import type { Verdict } from "../../src/contract/v1/explain.ts";
import { asId, ExecutorError } from "../../src/core/index.ts";
import { fakeSandbox } from "../support/fake-executor.ts";
import type { TestDoor } from "../support/open-test-door.ts";
import { openTestDoor } from "../support/open-test-door.ts";

async function explain(door: TestDoor, wish: unknown): Promise<{ status: number; verdict: Verdict }> {
  const answer = await fetch(`${door.url}/v1/explain`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(wish),
  });
  return { status: answer.status, verdict: (await answer.json()) as Verdict };
}

test("explain: the wish is a call's, with the same defaults, and nothing is called", async () => {
  await using door = await openTestDoor();
  const { status, verdict } = await explain(door, { image: "a:1", cpu: 0.5, gpus: 2, gpuMemory: 8 });
  expect(status).toBe(200);
  expect(verdict).toEqual({ type: "warm", reason: "a warm sandbox has a free slot", sandboxId: "s1" });
  expect(door.executor.explained).toEqual([
    {
      image: "a:1",
      isolation: "default",
      sgx: false,
      network: "default",
      resources: { cpuMillis: 500, memoryBytes: 134_217_728, gpuCount: 2, gpuMemoryBytes: 8_388_608 },
    },
  ]);
  expect(door.executor.calls).toEqual([]);
});

test("explain: those who would go are named with their images", async () => {
  await using door = await openTestDoor();
  const [one, two] = [asId<"sandbox">("s7"), asId<"sandbox">("s8")];
  door.executor.list = [fakeSandbox(one), fakeSandbox(two)];
  const room = { type: "room", freeze: [one], evict: [two], gpuIds: ["GPU-1"] } as const;
  door.executor.verdict = { ...room, start: "cold", sandboxId: undefined };
  const image = door.executor.list[0]?.task.image;
  expect((await explain(door, { image: "a" })).verdict).toEqual({
    type: "starts",
    reason: "there is room for a new sandbox, once 1 idle one is frozen and 1 idle one is removed",
    freeze: [{ sandboxId: "s7", image }],
    evict: [{ sandboxId: "s8", image }],
    gpuIds: ["GPU-1"],
  });
  door.executor.verdict = { ...room, freeze: [], evict: [], start: "thawed", sandboxId: one };
  expect((await explain(door, { image: "a" })).verdict).toEqual({
    type: "wakes",
    reason: "its frozen sandbox can wake",
    freeze: [],
    evict: [],
    sandboxId: "s7",
  });
});

test("explain: a wait says behind what and, where that can be told, for how long", async () => {
  await using door = await openTestDoor();
  const wait = { type: "wait", reason: "others", callersAhead: 2, demandsAhead: 0, busy: [] } as const;
  door.executor.verdict = { ...wait, expectedMs: 1500 };
  expect((await explain(door, { image: "a" })).verdict).toEqual({ ...wait, type: "waits", expectedMs: 1500 });
  door.executor.verdict = { ...wait, expectedMs: undefined };
  expect((await explain(door, { image: "a" })).verdict).toEqual({ ...wait, type: "waits" });
});

test("explain: a refusal is the problem that the call would get", async () => {
  await using door = await openTestDoor();
  const error = new ExecutorError("RESOURCES_EXCEED_LIMIT", { field: "resource.cpu", asked: 9, limit: 4 });
  door.executor.verdict = { type: "refused", error };
  expect((await explain(door, { image: "a", cpu: 9 })).verdict).toMatchObject({
    type: "refused",
    reason: error.message,
    problem: { code: "RESOURCES_EXCEED_LIMIT", retry: "never", facts: { field: "resource.cpu" } },
  });
});

test("explain: a wrong or misspelt wish is named", async () => {
  await using door = await openTestDoor();
  for (const [wish, field] of [
    [{ image: "a", cpus: 1 }, "cpus"],
    [{ image: "a", cpu: "1" }, "cpu"],
    [{ cpu: 1 }, "image"],
  ] as const) {
    const { status, verdict } = await explain(door, wish);
    expect(status).toBe(400);
    expect(JSON.stringify(verdict)).toContain(field);
  }
  expect(door.executor.explained).toEqual([]);
});
