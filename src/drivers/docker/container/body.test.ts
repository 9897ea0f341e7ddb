import { describe, expect, test } from "vitest";
import type { SandboxSpec, TaskSpec } from "../../../core/index.ts";
import { asId, MEBIBYTE } from "../../../core/index.ts";
import { configuredClasses } from "../isolation/configured-class.ts";
import { taskBody } from "./body.ts";
import { planIsolation } from "./plan-isolation.ts";

const classes = configuredClasses({ runtimes: [] });

function specOf(task: Partial<TaskSpec>): SandboxSpec {
  const resources = { cpuMillis: 500, memoryBytes: 64 * MEBIBYTE, gpuCount: 0, gpuMemoryBytes: 0 };
  return {
    sandboxId: asId<"sandbox">("s1"),
    taskKey: asId<"taskKey">("key"),
    task: { image: "tool:1", isolation: "default", resources, sgx: false, network: "default", ...task },
    image: { digest: "sha256:0", wasPulled: false },
    gpuIds: [],
    startTimeoutMs: 1000,
  };
}

const bodyOf = (task: Partial<TaskSpec>): object => {
  const place = { type: "join", containerId: "c1" } as const;
  return taskBody(specOf(task), { ownerId: "o", instanceId: "i" }, place, {
    plan: planIsolation(specOf(task).task, classes),
    nowMs: 0,
    seccomp: undefined,
    hasInit: true,
  });
};

describe("the body of a task's container", () => {
  test("defect 6: `container` is a class and no runtime's name, so that the engine uses its own", () => {
    for (const isolation of ["default", "container"] as const) {
      expect(planIsolation(specOf({ isolation }).task, classes)).toEqual({
        isolation: "container",
        runtime: undefined,
      });
      expect(bodyOf({ isolation })).not.toHaveProperty("HostConfig.Runtime");
    }
  });

  test("defect 6: a class that is not reached never becomes a plain container", () => {
    for (const isolation of ["gvisor", "microVM"] as const) {
      expect(() => planIsolation(specOf({ isolation }).task, classes)).toThrow(
        expect.objectContaining({ code: "ISOLATION_UNAVAILABLE" }),
      );
    }
  });

  test("M23: cards are for containers; another class is refused, not given fewer", () => {
    const runtimes = [{ name: "runsc", isolation: "gvisor", limits: "required" }] as const;
    const both = configuredClasses({ runtimes });
    const resources = { cpuMillis: 500, memoryBytes: 64 * MEBIBYTE, gpuCount: 1, gpuMemoryBytes: 0 };
    expect(planIsolation(specOf({ resources }).task, both)).toMatchObject({ isolation: "container" });
    expect(() => planIsolation(specOf({ resources, isolation: "gvisor" }).task, both)).toThrow(
      expect.objectContaining({ code: "GPU_UNAVAILABLE" }),
    );
  });

  test("defect 8: a tenth of a core and a megabyte are exactly that", () => {
    const resources = { cpuMillis: 700, memoryBytes: 1000 * MEBIBYTE, gpuCount: 0, gpuMemoryBytes: 0 };
    expect(bodyOf({ resources })).toMatchObject({
      HostConfig: { NanoCpus: 700_000_000, Memory: 1_048_576_000, MemorySwap: 1_048_576_000 },
    });
  });
});
