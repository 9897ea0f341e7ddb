import { expect, test } from "vitest";
import { ExecutorError } from "../../../core/index.ts";
import { GPUModel } from "../../../gen/executor_api_pb.js";
import { allowedFunctions } from "./allowed-functions.ts";
import { gpuModel, hostResources } from "./host-resources.ts";

const FIGURES = { cpuCount: 8, memoryBytes: 2 ** 34, diskBytes: 10 ** 12, gpuNames: [] };

test.each([
  ["NVIDIA A100-SXM4-80GB", GPUModel.GPU_MODEL_NVIDIA_A100_80GB],
  ["NVIDIA A100-PCIE-40GB", GPUModel.GPU_MODEL_NVIDIA_A100_40GB],
  ["NVIDIA H100 80GB HBM3", GPUModel.GPU_MODEL_NVIDIA_H100_80GB],
  ["Tesla T4", GPUModel.GPU_MODEL_NVIDIA_TESLA_T4],
  ["NVIDIA RTX A6000", GPUModel.GPU_MODEL_NVIDIA_A6000],
  ["NVIDIA A10", GPUModel.GPU_MODEL_NVIDIA_A10],
  ["NVIDIA A100", undefined],
  ["NVIDIA H100 NVL", undefined],
  ["NVIDIA H200", undefined],
  ["NVIDIA L4", undefined],
])("X8: the card %s is %s to the server", (name, model) => {
  expect(gpuModel(name)).toBe(model);
});

test("X8: a card of an unknown model leaves the field unset, and amounts are always there", () => {
  const resources = hostResources({ ...FIGURES, gpuNames: ["NVIDIA H200"] }, {});
  expect(resources).toEqual({ cpuCount: 8, memoryBytes: 2n ** 34n, diskBytes: 10n ** 12n });
  const known = hostResources({ ...FIGURES, gpuNames: ["Tesla T4", "Tesla T4", "NVIDIA H200"] }, {});
  expect(known.gpu).toEqual({ count: 2, model: GPUModel.GPU_MODEL_NVIDIA_TESLA_T4 });
  expect(hostResources(FIGURES, { cpuCount: 4, diskBytes: 5 })).toMatchObject({ cpuCount: 4, diskBytes: 5n });
});

test("a list of functions with a mistake in it is refused as a whole", () => {
  expect(allowedFunctions(["n:a:f", "n:a:g:v1"])).toEqual([
    { namespace: "n", applicationName: "a", functionName: "f" },
    { namespace: "n", applicationName: "a", functionName: "g", applicationVersion: "v1" },
  ]);
  for (const row of ["n:a", "n:a:f:v:x", "n::f", ""]) {
    expect(() => allowedFunctions(["n:a:f", row])).toThrow(ExecutorError);
  }
});
