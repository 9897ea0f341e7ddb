import { expect, test } from "vitest";
import { ExecutorError } from "../../../core/index.ts";
import { GPUModel } from "../../../gen/executor_api_pb.js";
import { allowedFunctions, isAllowed, isNamespaceAllowed } from "./allowed-functions.ts";
import { gpuModel, hostResources, withinBooks } from "./host-resources.ts";

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

test("X8: what the operator says of the host's size counts as far as the books can hold it", () => {
  expect(withinBooks({ cpuCount: 64, memoryBytes: 2 ** 40, diskBytes: 10 ** 15 }, FIGURES)).toEqual({
    cpuCount: 8,
    memoryBytes: 2 ** 34,
    diskBytes: 10 ** 15,
  });
  expect(withinBooks({ cpuCount: 2 }, FIGURES)).toEqual({ cpuCount: 2 });
  expect(withinBooks({}, FIGURES)).toEqual({});
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

test("only what the list names may run; an entry without a version stands for every one, and no entry for everything", () => {
  const list = allowedFunctions(["n:a:f", "n:a:g:v1"]);
  const wanted = { namespace: "n", application: "a", name: "f", version: "v9" };
  expect(isAllowed(list, wanted)).toBe(true);
  expect(isAllowed(list, { ...wanted, name: "g", version: "v1" })).toBe(true);
  for (const other of [{ name: "h" }, { namespace: "m" }, { application: "b" }, { name: "g" }])
    expect(isAllowed(list, { ...wanted, ...other })).toBe(false);
  expect(isAllowed([], { ...wanted, name: "h" })).toBe(true);
  expect([list, []].map((rows) => isNamespaceAllowed(rows, "m"))).toEqual([false, true]);
  expect(["n", undefined].map((namespace) => isNamespaceAllowed(list, namespace))).toEqual([true, false]);
});
