import type { SandboxEnd } from "../../core/index.ts";

/** Why a sandbox ended; `undefined` once the signal aborts. Leaves nothing on the signal, which outlives every sandbox. */
export function endUnless(ended: Promise<SandboxEnd>, signal: AbortSignal): Promise<SandboxEnd | undefined> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => resolve(undefined);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    ended.then((end) => {
      signal.removeEventListener("abort", onAbort);
      resolve(end);
    }, reject);
  });
}
