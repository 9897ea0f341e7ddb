import type { PullProgress, SandboxDriver } from "../../core/index.ts";
import type { Prefetched } from "../executor.ts";
import type { TaskLines } from "./task-lines.ts";

/** Fetches an image, or what its tag now names; sandboxes of the older content take no further calls. */
export async function prefetch(
  driver: SandboxDriver,
  lines: TaskLines,
  image: string,
  options: { onProgress?(progress: PullProgress): void },
  signal: AbortSignal,
): Promise<Prefetched> {
  const resolved = await driver.resolve(image, { refresh: "moved", ...options }, signal);
  const outdated = lines
    .owners()
    .filter(
      (owner) => owner.task.image === image && owner.isServing && owner.imageDigest !== resolved.digest,
    );
  for (const owner of outdated) owner.retire("outdated");
  return { digest: resolved.digest, wasPulled: resolved.wasPulled, retired: outdated.length };
}
