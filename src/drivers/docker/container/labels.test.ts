import { expect, test } from "vitest";
import { asId, type SandboxSpec, taskKey } from "../../../core/index.ts";
import { baseLabels, LABEL, readSandboxLabels, sandboxLabels } from "./labels.ts";

const TASK = {
  image: "a/foo:1",
  isolation: "container" as const,
  resources: { cpuMillis: 500, memoryBytes: 67_108_864, gpuCount: 0, gpuMemoryBytes: 0 },
  sgx: false,
  network: "default" as const,
};
const SPEC: SandboxSpec = {
  sandboxId: asId<"sandbox">("01hearth"),
  taskKey: taskKey(TASK),
  task: TASK,
  image: { digest: "sha256:x", wasPulled: false },
  gpuIds: [],
  startTimeoutMs: 1,
};
const PLAN = { isolation: "container", runtime: undefined } as const;
const WHOLE = {
  ...baseLabels({ ownerId: "o", instanceId: "i" }, "sandbox", 0),
  ...sandboxLabels(SPEC, PLAN),
};

test("what one life writes, the next one reads", () => {
  expect(readSandboxLabels(WHOLE)).toEqual({
    sandboxId: "01hearth",
    taskKey: SPEC.taskKey,
    task: TASK,
    imageDigest: "sha256:x",
    gpuIds: [],
    isolation: "container",
    runtime: undefined,
  });
});

test("M23: the cards that a sandbox was given come back with it", () => {
  const task = { ...TASK, resources: { ...TASK.resources, gpuCount: 2 } };
  const spec = { ...SPEC, task, taskKey: taskKey(task), gpuIds: ["GPU-b", "GPU-a"] };
  const labels = { ...WHOLE, ...sandboxLabels(spec, PLAN) };
  expect(readSandboxLabels(labels)?.gpuIds).toEqual(["GPU-b", "GPU-a"]);
  for (const others of ["", "GPU-a", "GPU-a,GPU-a", "GPU-a,GPU-b,GPU-c"]) {
    expect(readSandboxLabels({ ...labels, [LABEL.GPUS]: others })).toBeUndefined();
  }
});

test.each([
  ["another schema", { [LABEL.SCHEMA]: "0" }],
  ["another kind", { [LABEL.KIND]: "network" }],
  ["a task that is no JSON", { [LABEL.TASK]: "{" }],
  ["a task of another shape", { [LABEL.TASK]: "null" }],
  ["a task without sizes", { [LABEL.TASK]: JSON.stringify({ ...TASK, resources: {} }) }],
  [
    "a negative size",
    { [LABEL.TASK]: JSON.stringify({ ...TASK, resources: { ...TASK.resources, cpuMillis: -1 } }) },
  ],
  ["an unknown isolation class", { [LABEL.TASK]: JSON.stringify({ ...TASK, isolation: "none" }) }],
  ["an unknown class", { [LABEL.ISOLATION]: "none" }],
  ["a key that is not the task's", { [LABEL.TASK_KEY]: "other" }],
])("labels with %s are not taken over", (_, change) => {
  expect(readSandboxLabels({ ...WHOLE, ...change })).toBeUndefined();
});
