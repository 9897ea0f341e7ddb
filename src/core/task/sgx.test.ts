import { expect, test } from "vitest";
import { ISOLATION_CLASSES } from "./isolation.ts";
import { DEFAULT_RESOURCES } from "./resources.ts";
import { sgxConflict, withSgx } from "./sgx.ts";
import { taskKey } from "./task-key.ts";
import type { TaskSpec } from "./task-spec.ts";

const task = (words: Pick<TaskSpec, "isolation" | "sgx">, gpuCount = 0): TaskSpec => ({
  image: "enclave",
  network: "default",
  resources: { ...DEFAULT_RESOURCES, gpuCount },
  ...withSgx(words),
});

test("every word for SGX gives the same task and the same key, and never that of a plain one", () => {
  const keys = [
    { isolation: "default", sgx: true },
    { isolation: "container", sgx: true },
    { isolation: "sgx", sgx: false },
    { isolation: "sgx", sgx: true },
  ] as const;
  expect(new Set(keys.map((words) => taskKey(task(words)))).size).toBe(1);
  for (const isolation of ["default", ...ISOLATION_CLASSES] as const) {
    if (isolation === "sgx") continue;
    expect(withSgx({ isolation, sgx: false })).toEqual({ isolation, sgx: false });
    expect(taskKey(task({ isolation, sgx: false }))).not.toBe(taskKey(task(keys[0])));
  }
});

test.each(["process", "gvisor", "microVM"] as const)(
  "SGX together with %s is refused, naming both",
  (isolation) => {
    const refusal = sgxConflict(task({ isolation, sgx: true }));
    expect(refusal).toMatchObject({ code: "SGX_UNAVAILABLE", facts: { isolation } });
    expect(refusal?.message).toContain(isolation);
  },
);

test("SGX together with GPUs is refused, naming both; either alone is not", () => {
  const refusal = sgxConflict(task({ isolation: "default", sgx: true }, 2));
  expect(refusal?.message).toMatch(/SGX or GPUs.*gpuCount 2/);
  expect(sgxConflict(task({ isolation: "default", sgx: true }))).toBeUndefined();
  expect(sgxConflict(task({ isolation: "gvisor", sgx: false }, 2))).toBeUndefined();
});
