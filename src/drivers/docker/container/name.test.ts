import { expect, test } from "vitest";
import type { SandboxSpec } from "../../../core/index.ts";
import { asId, MEBIBYTE } from "../../../core/index.ts";
import { containerName } from "./name.ts";

function specOf(image: string, sandboxId: string): SandboxSpec {
  const resources = { cpuMillis: 500, memoryBytes: 64 * MEBIBYTE, gpuCount: 0, gpuMemoryBytes: 0 };
  return {
    sandboxId: asId<"sandbox">(sandboxId),
    taskKey: asId<"taskKey">("key"),
    task: { image, isolation: "default", resources, sgx: false, network: "default" as const },
    image: { digest: "sha256:0", wasPulled: false },
    gpuIds: [],
    startTimeoutMs: 1000,
  };
}

test("M31: a name says image, tag and size, in characters that engines take", () => {
  expect(containerName(specOf("host:5000/lab/tool:v1", "s1"))).toBe("mecanywhere_tool_v1_0.5_64_s1");
  expect(containerName(specOf("tool", "s1"))).toBe("mecanywhere_tool_latest_0.5_64_s1");
  expect(containerName(specOf(`tool@sha256:${"0".repeat(64)}`, "s1"))).toMatch(
    /^mecanywhere_tool_sha256_0\.5_64_s1$/,
  );
});

test("two sandboxes of one task never share a name, in whatever part their ids differ", () => {
  const ids = ["01m7xs6bvk00000rbdrqrpc0ew", "01m7xs6fba00000rbdrqrpc0ew", "01m7xs6fba00001rbdrqrpc0ew"];
  expect(new Set(ids.map((id) => containerName(specOf("tool:1", id)))).size).toBe(3);
});
