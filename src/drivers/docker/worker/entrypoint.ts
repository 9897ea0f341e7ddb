import type { WorkerSpec } from "../../../core/index.ts";
import { TASK_PORT } from "../options.ts";

/** What a worker's container starts in the place of what its image would; nothing where it has no command of its own. */
export function entrypointOf({ command }: Pick<WorkerSpec, "command">): {
  readonly Entrypoint?: readonly string[];
} {
  const words = command(`0.0.0.0:${TASK_PORT}`);
  return words.length === 0 ? {} : { Entrypoint: words };
}
