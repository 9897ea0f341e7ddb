import { existsSync, realpathSync } from "node:fs";
import { dirname } from "node:path";
import type { WorkerBind } from "../../../src/core/index.ts";
import type { Tensorlake } from "./tensorlake.ts";

/** An image without Python sees this host's own, the worker's program, and the blobs under their own name. */
export function bindsOfHost({ functionExecutor, python }: Tensorlake, blobs: string): readonly WorkerBind[] {
  const environment = dirname(dirname(functionExecutor));
  const interpreter = dirname(dirname(realpathSync(python)));
  const wanted = ["/usr", "/lib", "/lib64", environment, realpathSync(environment), interpreter];
  const seen = [...new Set(wanted)].filter((path) => existsSync(path));
  return [
    ...seen.map((path) => ({ source: path, target: path, isReadOnly: true })),
    { source: blobs, target: blobs, isReadOnly: false },
  ];
}
