import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Config } from "./config/index.ts";
import type { Log } from "./core/index.ts";
import type { OpenGpuMonitor } from "./drivers/gpu/index.ts";
import { openGpuMonitor } from "./drivers/gpu/index.ts";

/** The build puts it beside every part of the daemon. */
const READER = fileURLToPath(new URL("./gpu-reader.mjs", import.meta.url));

/** Begins to read the host's GPUs if they are switched on; returns at once. */
export function openGpus(config: Pick<Config, "has_gpu" | "gpus">, log?: Log): OpenGpuMonitor {
  return openGpuMonitor({
    isEnabled: config.has_gpu,
    only: config.gpus.only,
    pollMs: config.gpus.poll_ms,
    reader: [process.execPath, READER],
    surroundings: { env: process.env, isInContainer: isInContainer() },
    log,
  });
}

/** A container's runtime has narrowed the cards already, and counts those that are left anew. */
function isInContainer(): boolean {
  const isOurImage = process.env["HEARTH_IN_CONTAINER"] === "1";
  return isOurImage || ["/.dockerenv", "/run/.containerenv"].some((path) => existsSync(path));
}
