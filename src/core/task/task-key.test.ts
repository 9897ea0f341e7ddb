import { expect, test } from "vitest";
import { taskKey } from "./task-key.ts";
import type { TaskSpec } from "./task-spec.ts";

const plain: TaskSpec = {
  image: "a:1",
  isolation: "default",
  resources: { cpuMillis: 1000, memoryBytes: 128, gpuCount: 0, gpuMemoryBytes: 0 },
  sgx: false,
  network: "default" as const,
};

test("defect 5: whatever a task is told apart by is in its key, SGX and its class included", () => {
  const others: TaskSpec[] = [
    { ...plain, sgx: true },
    { ...plain, isolation: "container" },
    { ...plain, isolation: "sgx" },
    { ...plain, image: "b/a:1" },
    { ...plain, image: "a:1|sgx" },
    { ...plain, resources: { ...plain.resources, cpuMillis: 100 } },
    { ...plain, resources: { ...plain.resources, memoryBytes: 129 } },
    { ...plain, resources: { ...plain.resources, gpuCount: 1 } },
    { ...plain, resources: { ...plain.resources, gpuCount: 1, gpuMemoryBytes: 1 } },
  ];
  const keys = [plain, ...others].map(taskKey);
  expect(new Set(keys).size).toBe(keys.length);
  expect(taskKey({ ...plain, resources: { ...plain.resources } })).toBe(taskKey(plain));
});
