import type { ResolvedImage } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { FoundTask } from "./task-folders.ts";
import { findTaskFolder } from "./task-folders.ts";
import type { ProcessWorld } from "./world.ts";

/**
 * The folder as it was resolved, checked for what would fail later and less clearly.
 *
 * @throws {@link ExecutorError} as `findTaskFolder`; SANDBOX_START_FAILED, IMAGE_UNUSABLE.
 */
export async function findPinned(
  world: ProcessWorld,
  image: string,
  pinned: ResolvedImage,
  signal: AbortSignal,
): Promise<FoundTask> {
  const found = await findTaskFolder(world.taskDirectories, image);
  const content = await world.digests.digest(found.folder, signal);
  if (content.digest !== pinned.digest) {
    const reason = "its folder has changed since it was looked up";
    throw new ExecutorError("SANDBOX_START_FAILED", { image, reason });
  }
  if (world.uids !== undefined && content.unreadable !== undefined) {
    const reason = `tasks run under a uid of their own here, which may not read "${content.unreadable}" in its folder: run chmod -R a+rX`;
    throw new ExecutorError("IMAGE_UNUSABLE", { image, reason });
  }
  return found;
}
