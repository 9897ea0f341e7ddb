import { existsSync, mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";

/** Why the kernel can hold no task to anything here: no cgroup can be made; `undefined` where one can. */
export function whyNoCgroup(): string | undefined {
  for (const place of ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup"]) {
    const look = join(place, `hearth-look-${process.pid}`);
    try {
      mkdirSync(look);
    } catch {
      continue;
    }
    const isOne = existsSync(join(look, "cgroup.procs"));
    rmdirSync(look);
    if (isOne) return undefined;
  }
  return "no cgroup can be made here";
}
