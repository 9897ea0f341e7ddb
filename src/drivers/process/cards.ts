import type { TaskSpec } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";

/** Where the device files of cards are found: for these UUIDs those of exactly these cards, and those that every card needs. */
export type CardNodes = (gpuIds: readonly string[]) => readonly string[];

/** What programs go by. Nobody enforces it where the task sees the host's own devices. */
export function cardEnvironment(gpuIds: readonly string[]): Readonly<Record<string, string>> {
  const ids = gpuIds.join(",");
  return { NVIDIA_VISIBLE_DEVICES: ids === "" ? "void" : ids, CUDA_VISIBLE_DEVICES: ids };
}

/** @throws {@link ExecutorError} GPU_UNAVAILABLE for a sandbox that was given other than as many cards as its task asks for. */
export function refuseMissingCards({
  gpuIds,
  task,
}: {
  readonly gpuIds: readonly string[];
  readonly task: TaskSpec;
}): void {
  const { gpuCount } = task.resources;
  if (new Set(gpuIds).size === gpuCount && gpuIds.length === gpuCount) return;
  const reason = `it asks for ${gpuCount} GPUs and was given ${gpuIds.length}`;
  throw new ExecutorError("GPU_UNAVAILABLE", { reason, gpuCount });
}
