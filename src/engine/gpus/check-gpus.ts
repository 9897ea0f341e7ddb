import type { Rack, TaskSpec } from "../../core/index.ts";
import { cardsFor, cardsInReach, ExecutorError, MEBIBYTE, NOW, placeOnCards } from "../../core/index.ts";
import type { GpuOffer } from "./gpu-cards.ts";

/**
 * Refuses at once a wish for GPUs that these cards can never fulfil, and says what is there and why there is no more. Cards that are busy from outside
 * count: they may become free.
 */
export function checkGpus(task: TaskSpec, rack: Rack, offer: GpuOffer): ExecutorError | undefined {
  const { gpuCount, gpuMemoryBytes } = task.resources;
  if (gpuCount === 0 || (offer.isEnabled && !offer.isKnown)) return undefined;
  const asked = gpuCount;
  if (!offer.isEnabled) {
    const reason = "GPUs are switched off on this host; its operator can set has_gpu to true";
    return new ExecutorError("GPU_UNAVAILABLE", { reason, field: "gpu_count", asked, offered: 0 });
  }
  const offered = cardsFor({ gpuCount, gpuMemoryBytes: 0 }, rack);
  if (gpuCount > offered) {
    const reason = offer.trouble ?? offer.unfit;
    return new ExecutorError("GPU_UNAVAILABLE", { reason, field: "gpu_count", asked, offered });
  }
  if (gpuCount <= cardsFor(task.resources, rack)) return undefined;
  const sizes = rack.cards.filter((card) => card.isHealthy).map((card) => card.memoryBytes);
  const largest = sizes.sort((a, b) => b - a)[gpuCount - 1] ?? 0;
  return new ExecutorError("GPU_UNAVAILABLE", {
    reason: "no card, or too few, have that much memory",
    field: "gpu_mem",
    asked: Math.ceil(gpuMemoryBytes / MEBIBYTE),
    offered: Math.floor(largest / MEBIBYTE),
  });
}

/** Why a demand waits for GPUs, as a sentence; `undefined` when it has no need to. */
export function gpuWaitReason({ resources }: TaskSpec, rack: Rack, offer: GpuOffer): string | undefined {
  if (resources.gpuCount === 0 || placeOnCards(resources, rack, NOW) !== undefined) return undefined;
  if (!offer.isKnown) return "the GPUs of this host have not been read yet";
  if (cardsFor(resources, rack) < resources.gpuCount) {
    const why = offer.trouble ?? offer.unfit;
    return `GPUs that it needs cannot be used now${why === undefined ? "" : `: ${why}`}`;
  }
  if (cardsInReach(resources, rack) < resources.gpuCount) {
    return "programs outside of this executor use the GPUs that it needs";
  }
  return "other tasks hold the GPUs that it needs";
}
