import type { IsolationClass, TaskSpec } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";

/** Asks the engine for these very cards. @see Docker Engine API, `HostConfig.DeviceRequests`. */
export interface DeviceRequest {
  readonly Driver: "nvidia";
  readonly DeviceIDs: readonly string[];
  readonly Capabilities: readonly [readonly ["gpu"]];
}

/** @param gpuIds UUIDs; without any, nothing is asked for. */
export function deviceRequests(gpuIds: readonly string[]): {
  readonly DeviceRequests?: readonly DeviceRequest[];
} {
  if (gpuIds.length === 0) return {};
  return { DeviceRequests: [{ Driver: "nvidia", DeviceIDs: gpuIds, Capabilities: [["gpu"]] }] };
}

/**
 * Said in any case: most images for GPUs say `all` themselves, which an engine with NVIDIA's runtime as its default would
 * obey also for a task that was given none.
 */
export function visibleDevices(gpuIds: readonly string[]): string {
  return `NVIDIA_VISIBLE_DEVICES=${gpuIds.length === 0 ? "void" : gpuIds.join(",")}`;
}

/**
 * The same of a worker. One without cards must not have the variable at all, whatever its value: its health check takes it for a
 * sign of GPUs, and asks `nvidia-smi` (`contracts/indexify.md` section 6.4). A name alone takes it out of the image's own.
 *
 * @see Docker Engine API, `Config.Env`: a variable without `=` is removed.
 */
export function workerCards(gpuIds: readonly string[]): readonly string[] {
  return gpuIds.length === 0 ? ["NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES="] : [visibleDevices(gpuIds)];
}

/** @throws {@link ExecutorError} GPU_UNAVAILABLE for a class whose kernel would have to be given the cards first. */
export function refuseCardsIn(isolation: IsolationClass, gpuCount: number): void {
  if (gpuCount === 0 || isolation === "container") return;
  const reason = `cards are handed to tasks of the class container, and to none of the class ${isolation}`;
  throw new ExecutorError("GPU_UNAVAILABLE", { reason, isolation, gpuCount });
}

/** Whether these are as many different cards as a task asks for. */
export function hasRightCount(gpuIds: readonly string[], gpuCount: number): boolean {
  return gpuIds.length === gpuCount && new Set(gpuIds).size === gpuCount;
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
  if (hasRightCount(gpuIds, gpuCount)) return;
  const reason = `it asks for ${gpuCount} GPUs and was given ${gpuIds.length}`;
  throw new ExecutorError("GPU_UNAVAILABLE", { reason, gpuCount });
}

/** What engines and NVIDIA's tools say when they cannot give a container its cards. */
const REFUSALS = /could not select device driver|nvidia-container-(cli|runtime)|unresolvable CDI devices/i;

/** Why the engine would not hand over cards, in its words; `undefined` if the cards are not the reason. */
export function cardsRefused(gpuIds: readonly string[], engineSaid: string): string | undefined {
  if (gpuIds.length === 0 || !REFUSALS.test(engineSaid)) return undefined;
  return /could not select device driver/i.test(engineSaid)
    ? `the engine cannot give GPUs to containers; the NVIDIA Container Toolkit is not installed for it (${engineSaid})`
    : `the engine could not give the container its GPUs: ${engineSaid}`;
}
