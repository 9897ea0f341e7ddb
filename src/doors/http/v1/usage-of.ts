import type { SandboxUsage } from "../../../contract/v1/sandboxes.ts";
import type { SandboxId } from "../../../core/index.ts";
import { withDeadline } from "../../../std/index.ts";
import type { DoorParts } from "../parts.ts";

const USAGE_TIMEOUT_MS = 3000;

/** What a sandbox uses. A figure that cannot be read, as while the sandbox starts, must not hide the rest: `undefined`. */
export async function usageOf(
  { executor }: DoorParts,
  sandboxId: SandboxId,
): Promise<SandboxUsage | undefined> {
  try {
    const { cpuMs, memoryBytes, memoryPeakBytes } = await withDeadline(
      { ms: USAGE_TIMEOUT_MS, code: "ENGINE_UNAVAILABLE" },
      (signal) => executor.usage(sandboxId, signal),
    );
    return { cpuMs, memoryBytes, ...(memoryPeakBytes === undefined ? {} : { memoryPeakBytes }) };
  } catch {
    return undefined;
  }
}
