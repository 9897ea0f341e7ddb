import { constants } from "node:fs";
import type { ArtifactKey, ArtifactStore, BorrowedArtifact } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { Looks } from "../../../std/files/index.ts";
import { segmentsOf } from "../check-key.ts";
import { localFailure } from "./failure.ts";
import type { OpenFolder } from "./folders.ts";
import { inside, openFolder } from "./folders.ts";

/** What is no larger is read at once, into memory: whoever reads it would open it anew for that. */
const WHOLE_BYTES = 64 * 1024;
/** Never blocks: whatever else stands under this name, such as a pipe, is refused. */
const PLAIN = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** See `ArtifactStore.borrow`. The folder stays open, so that no link that takes its place later is followed. */
export function borrowingFrom(root: OpenFolder): Required<Pick<ArtifactStore, "borrow">> {
  return {
    async borrow(key, { maxBytes }, signal) {
      signal.throwIfAborted();
      const segments = segmentsOf(key);
      let folder: OpenFolder | undefined;
      try {
        folder = await openFolder(root, segments.slice(0, -1), false);
        return await look(folder, segments.at(-1) ?? "", key, maxBytes);
      } catch (error) {
        // What kept us from it is the better error.
        await folder?.close().catch(() => undefined);
        throw localFailure(error, key);
      }
    },
  };
}

async function look(
  folder: OpenFolder,
  name: string,
  key: ArtifactKey,
  maxBytes: number,
): Promise<BorrowedArtifact> {
  const { looks } = folder;
  const path = inside(folder, name);
  const fd = await looks.open(path, PLAIN);
  try {
    const stats = await looks.stats(fd);
    if (!stats.isFile())
      throw new ExecutorError("ARTIFACT_KEY_INVALID", { key, reason: "it is not a plain file" });
    if (stats.size > maxBytes) throw new ExecutorError("ARTIFACT_TOO_LARGE", { limitBytes: maxBytes });
    const whole = stats.size > WHOLE_BYTES ? undefined : await readWhole(fd, stats.size, looks);
    return { path, bytes: stats.size, whole, [Symbol.asyncDispose]: () => folder.close() };
  } finally {
    await looks.close(fd);
  }
}

/** As much of it as there is: it may be cut meanwhile. */
async function readWhole(fd: number, bytes: number, looks: Looks): Promise<Uint8Array> {
  const whole = Buffer.allocUnsafe(bytes);
  let filled = 0;
  while (filled < bytes) {
    const count = await looks.read(fd, whole, filled, filled);
    if (count === 0) break;
    filled += count;
  }
  return whole.subarray(0, filled);
}
