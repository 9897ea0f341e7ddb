import type { IsolationClass, Settings } from "../../core/index.ts";
import type { SandboxOwner } from "./sandbox-owner.ts";

/** The engine's runtime that settings put behind a class; `undefined` for the driver's own. */
export function runtimeBehind({ runtimes }: Settings, isolation: IsolationClass): string | undefined {
  return runtimes.find((row) => row.isolation === isolation)?.name;
}

/** Whether sandboxes of a class are made by another runtime now than before. */
export function isMappedAnew(before: Settings, now: Settings, isolation: IsolationClass): boolean {
  return runtimeBehind(before, isolation) !== runtimeBehind(now, isolation);
}

/** What another runtime has made is not what its class means now. */
export function retireMappedAnew(owners: readonly SandboxOwner[], before: Settings, now: Settings): void {
  for (const owner of owners) {
    const reached = owner.maybeSandbox?.isolation;
    if (reached !== undefined && isMappedAnew(before, now, reached)) owner.retire("outdated");
  }
}
