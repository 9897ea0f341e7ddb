import fc from "fast-check";
import { expect, test } from "vitest";
import { asId, type SandboxSpec, taskKey } from "../../../core/index.ts";
import { containerName } from "./name.ts";

function specOf(image: string, unique = "01hearth00000000abcdefghij"): SandboxSpec {
  const resources = { cpuMillis: 500, memoryBytes: 64 * 1_048_576, gpuCount: 0, gpuMemoryBytes: 0 };
  const task = { image, isolation: "default" as const, resources, sgx: false, network: "default" as const };
  const sandboxId = asId<"sandbox">(unique);
  return {
    sandboxId,
    taskKey: taskKey(task),
    task,
    image: { digest: "", wasPulled: false },
    gpuIds: [],
    startTimeoutMs: 1,
  };
}

test("M31: whatever the image is called, the name is one that engines take", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 400 }), (image) => {
      const name = containerName(specOf(image));
      expect(name).toMatch(/^mecanywhere_[a-zA-Z0-9_.-]*$/);
      expect(name.length).toBeLessThan(200);
    }),
  );
});
