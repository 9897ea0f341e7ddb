import type { ResolvedImage } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { ProcessWorld } from "../world.ts";
import type { FolderContent } from "./folder-digest.ts";
import type { FoundTask } from "./task-folders.ts";
import { findTaskFolder } from "./task-folders.ts";

/** By image and digest, what was found before: with the same content it is the same task. The oldest go first. */
const foundBefore = new WeakMap<ProcessWorld, Map<string, FoundTask>>();
const MOST_FOUND = 1000;

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
  const { found, content } =
    (await findAgain(world, image, pinned, signal)) ?? (await findAnew(world, image, signal));
  if (content.digest !== pinned.digest) {
    const reason = "its folder has changed since it was looked up";
    throw new ExecutorError("SANDBOX_START_FAILED", { image, reason });
  }
  if (world.uids !== undefined && content.unreadable !== undefined) {
    const reason = `tasks run under a uid of their own here, which may not read "${content.unreadable}" in its folder: run chmod -R a+rX`;
    throw new ExecutorError("IMAGE_UNUSABLE", { image, reason });
  }
  remember(world, keyOf(image, pinned), found);
  return found;
}

interface Looked {
  readonly found: FoundTask;
  readonly content: FolderContent;
}

async function findAnew(world: ProcessWorld, image: string, signal: AbortSignal): Promise<Looked> {
  const found = await findTaskFolder(world.taskDirectories, image);
  return { found, content: await world.digests.digest(found.folder, signal) };
}

/** Where it was before, without a search through all task directories; `undefined` when it is not there as it was. */
async function findAgain(
  world: ProcessWorld,
  image: string,
  pinned: ResolvedImage,
  signal: AbortSignal,
): Promise<Looked | undefined> {
  const found = foundBefore.get(world)?.get(keyOf(image, pinned));
  if (found === undefined) return undefined;
  try {
    const content = await world.digests.digest(found.folder, signal);
    return content.digest === pinned.digest ? { found, content } : undefined;
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

function remember(world: ProcessWorld, key: string, found: FoundTask): void {
  const known = foundBefore.get(world) ?? new Map<string, FoundTask>();
  foundBefore.set(world, known);
  known.set(key, found);
  const [oldest] = known.keys();
  if (known.size > MOST_FOUND && oldest !== undefined) known.delete(oldest);
}

function keyOf(image: string, { digest }: ResolvedImage): string {
  return `${digest} ${image}`;
}
