import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HostResourcesSchema } from "../../../gen/executor_api_pb.js";
import { GPUModel } from "../../../gen/executor_api_pb.js";

/** What this host has for the server's scheduler. */
export interface HostFigures {
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  /** The cards' names as their driver says them, one for each card that may be handed out. */
  readonly gpuNames: readonly string[];
}

/** What the operator says instead of what was found; each alone. */
export interface ResourceOverrides {
  readonly cpuCount?: number;
  readonly memoryBytes?: number;
  readonly diskBytes?: number;
}

/**
 * The same in the server's words. Its three amounts are always there, or it would refuse the registration; a card whose model
 * it has no number for is left out, for the same reason (`contracts/indexify.md` 3.2).
 */
export function hostResources(
  figures: HostFigures,
  overrides: ResourceOverrides,
): MessageInitShape<typeof HostResourcesSchema> {
  const model = gpuModel(figures.gpuNames[0]);
  const count = figures.gpuNames.filter((name) => gpuModel(name) === model).length;
  return {
    cpuCount: Math.max(1, Math.floor(overrides.cpuCount ?? figures.cpuCount)),
    memoryBytes: BigInt(Math.floor(overrides.memoryBytes ?? figures.memoryBytes)),
    diskBytes: BigInt(Math.floor(overrides.diskBytes ?? figures.diskBytes)),
    ...(model === undefined ? {} : { gpu: { count, model } }),
  };
}

/** What of the operator's figures the books can hold: work that is placed beyond it would wait for room for ever. */
export function withinBooks(overrides: ResourceOverrides, books: HostFigures): ResourceOverrides {
  const { cpuCount, memoryBytes } = overrides;
  return {
    ...overrides,
    ...(cpuCount === undefined ? {} : { cpuCount: Math.min(cpuCount, books.cpuCount) }),
    ...(memoryBytes === undefined ? {} : { memoryBytes: Math.min(memoryBytes, books.memoryBytes) }),
  };
}

/** What a card is to the server, by its name (`contracts/indexify.md` 8.3); `undefined` for one that it does not know. */
export function gpuModel(name: string | undefined): GPUModel | undefined {
  if (name === undefined) return undefined;
  if (name.startsWith("NVIDIA A100")) {
    if (name.includes("80GB")) return GPUModel.GPU_MODEL_NVIDIA_A100_80GB;
    return name.includes("40GB") ? GPUModel.GPU_MODEL_NVIDIA_A100_40GB : undefined;
  }
  if (name.startsWith("NVIDIA H100")) {
    return name.includes("80GB") ? GPUModel.GPU_MODEL_NVIDIA_H100_80GB : undefined;
  }
  if (name.startsWith("Tesla T4")) return GPUModel.GPU_MODEL_NVIDIA_TESLA_T4;
  if (name.startsWith("NVIDIA RTX A6000")) return GPUModel.GPU_MODEL_NVIDIA_A6000;
  return /^NVIDIA A10\b/.test(name) ? GPUModel.GPU_MODEL_NVIDIA_A10 : undefined;
}
