import type { Executor } from "./executor.ts";
import type { ExecutorParts } from "./executor-parts.ts";
import { RunningExecutor } from "./running-executor.ts";

export type { ExecutorParts } from "./executor-parts.ts";

/**
 * Starts the executor: books and takes over what an earlier life left, then takes calls. Adopting goes on behind its back, so
 * that it answers at once.
 */
export async function startExecutor(parts: ExecutorParts, signal: AbortSignal): Promise<Executor> {
  const executor = new RunningExecutor(parts);
  await executor.recover(signal);
  return executor;
}
