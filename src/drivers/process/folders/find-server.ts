import type { SandboxSpec } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { canExecute, taskPath } from "../tools.ts";
import type { ProcessWorld } from "../world.ts";
import { findPinned } from "./find-pinned.ts";
import type { FoundTask } from "./task-folders.ts";

/** The folder as it was resolved, if its program can serve. @throws {@link ExecutorError} as `findPinned`; IMAGE_UNUSABLE. */
export async function findServer(
  world: ProcessWorld,
  spec: SandboxSpec,
  signal: AbortSignal,
): Promise<FoundTask> {
  const { image } = spec.task;
  const found = await findPinned(world, image, spec.image, signal);
  refuseUnlessServing(image, found);
  return found;
}

/** @throws {@link ExecutorError} IMAGE_UNUSABLE for a task whose program cannot serve calls. */
export function refuseUnlessServing(image: string, { task, folder }: FoundTask): void {
  if (task.mode === "job") {
    const reason = "its folder is made for jobs: nothing in it serves calls";
    throw new ExecutorError("IMAGE_UNUSABLE", { image, reason });
  }
  const [program = ""] = task.command;
  if (!program.includes("=") && canExecute(program, folder, taskPath())) return;
  const reason = `its command "${program}" is no program that can be executed`;
  throw new ExecutorError("IMAGE_UNUSABLE", { image, reason });
}
