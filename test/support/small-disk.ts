import { spawnSync } from "node:child_process";
import { closeSync, openSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { outputOf } from "./run-program.ts";

/** A disk of a few megabytes that a test can fill to its last byte. */
export interface SmallDisk extends AsyncDisposable {
  readonly folder: string;
  /** Takes all room that is left. */
  fill(): void;
  /** Gives back what {@link fill} has taken. */
  free(): Promise<void>;
}

/** Why none can be made here; `undefined` if one can. */
export function whyNoSmallDisk(): string | undefined {
  if (process.getuid?.() !== 0) return "only root can mount a small disk";
  const probe = spawnSync("unshare", ["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
  return probe.status === 0 ? undefined : "this host lets nobody mount a small disk";
}

export async function openSmallDisk(megabytes: number): Promise<SmallDisk> {
  const folder = await mkdtemp(join(tmpdir(), "hearth-disk-"));
  await outputOf("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m,mode=700`, "tmpfs", folder]);
  const ballast = join(folder, "ballast");
  return {
    folder,
    fill() {
      const file = openSync(ballast, "a");
      const piece = Buffer.alloc(65_536);
      try {
        // The disk is small, so this ends.
        for (;;) if (writeSync(file, piece) < piece.length) break;
      } catch (error) {
        if ((error as { readonly code?: unknown }).code !== "ENOSPC") throw error;
      } finally {
        closeSync(file);
      }
    },
    free: () => rm(ballast, { force: true }),
    async [Symbol.asyncDispose]() {
      await outputOf("umount", ["--lazy", folder]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
