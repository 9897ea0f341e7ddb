import { expect, test } from "vitest";
import { asId } from "../../src/core/index.ts";
import type { GpuView } from "../../src/engine/gpus/gpu-cards.ts";
import { fakeSandbox } from "../support/fake-executor.ts";
import { GIBIBYTE } from "../support/fake-gpus.ts";
import { openTestDoor } from "../support/open-test-door.ts";

const HELD: GpuView = {
  id: "GPU-0",
  index: 0,
  model: "Test 24G",
  memoryBytes: 24 * GIBIBYTE,
  memoryUsedBytes: GIBIBYTE,
  computePercent: 7,
  health: { isHealthy: true },
  isBusyOutside: false,
  holders: [{ sandboxId: asId<"sandbox">("s1"), memoryBytes: 0 }],
};
const SICK: GpuView = {
  ...HELD,
  id: "GPU-1",
  index: 1,
  health: { isHealthy: false, reason: "XID 79" },
  holders: [],
};

test("a wish for cards and their memory comes through every way in, and memory without cards is nothing", async () => {
  await using door = await openTestDoor();
  const headers = { "content-type": "application/json", prefer: "respond-async" };
  const legacy = (resource: object): RequestInit => ({
    method: "POST",
    body: JSON.stringify({ id: "a", input: "x", resource }),
  });
  await fetch(`${door.url}/v1/calls?image=a&gpus=2&gpuMemory=4096`, { method: "POST", body: "{}" });
  const run = { image: "a", gpus: 2, gpuMemory: 4096, input: "x" };
  await fetch(`${door.url}/v1/runs`, { method: "POST", headers, body: JSON.stringify(run) });
  await fetch(`${door.url}/`, legacy({ use_gpu: true, gpu_count: 2, gpu_mem: 4096 }));
  await fetch(`${door.url}/v1/calls?image=a&gpuMemory=4096`, { method: "POST", body: "{}" });
  await fetch(`${door.url}/`, legacy({ use_gpu: true }));
  expect(
    door.executor.calls.map(({ task: { resources } }) => [resources.gpuCount, resources.gpuMemoryBytes]),
  ).toEqual([
    [2, 4 * GIBIBYTE],
    [2, 4 * GIBIBYTE],
    [2, 4 * GIBIBYTE],
    [0, 0],
    [1, 0],
  ]);
});

test.each(["gpus=-1", "gpus=1.5", "gpus=1&gpuMemory=-1", "gpus=1&gpuMemory=0.5", "gpus=1&gpuMemory=x"])(
  "a call with %s is refused and nothing runs",
  async (query) => {
    await using door = await openTestDoor();
    const answer = await fetch(`${door.url}/v1/calls?image=a&${query}`, { method: "POST", body: "{}" });
    expect([answer.status, door.executor.calls.length]).toEqual([400, 0]);
  },
);

test("the same idempotency key with other memory of its cards is another request", async () => {
  await using door = await openTestDoor();
  const call = (gpuMemory: number): Promise<Response> =>
    fetch(`${door.url}/v1/calls?image=a&gpus=1&gpuMemory=${gpuMemory}`, {
      method: "POST",
      headers: { "idempotency-key": "k" },
      body: "{}",
    });
  expect([(await call(1024)).status, (await call(1024)).status]).toEqual([200, 200]);
  const other = await call(2048);
  expect(await other.json()).toMatchObject({ code: "IDEMPOTENCY_MISMATCH" });
  expect(door.executor.calls).toHaveLength(1);
});

test("/v1/host lists each card with who is on it, and /stats counts cards", async () => {
  await using door = await openTestDoor();
  door.executor.capacity = { cpuMillis: 1000, memoryBytes: 1, gpuCount: 1 };
  door.executor.reserved = { cpuMillis: 0, memoryBytes: 0, gpuCount: 1 };
  door.executor.gpus = [HELD, SICK];
  const host = (await (await fetch(`${door.url}/v1/host`)).json()) as { gpus: unknown };
  const shown = {
    model: "Test 24G",
    memoryBytes: 24 * GIBIBYTE,
    memoryUsedBytes: GIBIBYTE,
    computePercent: 7,
    isBusyOutside: false,
  };
  expect(host.gpus).toEqual([
    { ...shown, id: "GPU-0", index: 0, isHealthy: true, holders: [{ sandboxId: "s1", memoryBytes: 0 }] },
    { ...shown, id: "GPU-1", index: 1, isHealthy: false, reason: "XID 79", holders: [] },
  ]);
  expect(await (await fetch(`${door.url}/stats`)).json()).toMatchObject({ task_gpu: 1, task_used_gpu: 1 });
});

test("/v1/sandboxes shows the cards of each", async () => {
  await using door = await openTestDoor();
  door.executor.list = [fakeSandbox("s1", { gpuIds: ["GPU-0", "GPU-2"] })];
  expect(await (await fetch(`${door.url}/v1/sandboxes`)).json()).toMatchObject({
    sandboxes: [{ gpuIds: ["GPU-0", "GPU-2"], resources: { gpuMemoryBytes: 0 } }],
  });
});
