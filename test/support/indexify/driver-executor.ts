import type { SandboxDriver } from "../../../src/core/index.ts";
import { asId, MEBIBYTE, NO_GPUS } from "../../../src/core/index.ts";
import type { Executor } from "../../../src/engine/executor.ts";
import { startExecutor } from "../../../src/engine/start-executor.ts";
import { systemClock } from "../../../src/std/index.ts";
import { silentLog } from "../../../src/telemetry/silent-log.ts";
import { freshId } from "../../conformance/sandbox-driver/scene.ts";
import { TEST_SETTINGS } from "../test-executor.ts";

const MEMORY_BYTES = 8192 * MEBIBYTE;

/** An executor of real time on a real driver, for workers and nothing else. */
export async function startDriverExecutor(driver: SandboxDriver): Promise<Executor> {
  return await startExecutor(
    {
      driver,
      openChannel: () => {
        throw new Error("nobody calls a task here");
      },
      host: {
        capacity: { cpuMillis: 4000, memoryBytes: MEMORY_BYTES },
        usage: () => ({ cpuPercent: 0, memoryPercent: 0, memoryAvailableBytes: MEMORY_BYTES }),
        memoryAvailableBytes: () => MEMORY_BYTES,
      },
      gpus: NO_GPUS,
      clock: systemClock,
      log: silentLog,
      settings: { ...TEST_SETTINGS, memoryBytes: MEMORY_BYTES },
      isImageAllowed: () => false,
      newSandboxId: () => asId<"sandbox">(freshId()),
      newSessionId: () => asId<"session">(freshId()),
    },
    new AbortController().signal,
  );
}
