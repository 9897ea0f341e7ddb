import type { SandboxId } from "../../core/index.ts";
import { backoffMs } from "../../std/backoff.ts";
import type { EngineContext } from "../context.ts";

/** From here on a sandbox that cannot be removed is reported; its reservation stays booked until it is gone. */
const LEAK_SUSPECT_TRIES = 5;
const BACKOFF = { firstMs: 200, maxMs: 30_000 };

/**
 * Tries until the driver says that nothing is left: a reservation given back early would be a lie.
 *
 * @param remove one try.
 * @returns whether it is gone; not when the executor ended first, and the next life has to go on.
 */
export async function untilRemoved(
  context: EngineContext,
  facts: { readonly sandboxId: SandboxId; readonly label?: string },
  remove: () => Promise<void>,
): Promise<boolean> {
  for (let tries = 1; ; tries += 1) {
    try {
      await remove();
      return true;
    } catch (error) {
      if (tries === LEAK_SUSPECT_TRIES) context.log.log("error", "sandbox.leaked", { ...facts, error });
      if (context.ending.aborted) return false;
      await pause(context, backoffMs(BACKOFF, tries, 0.5));
    }
  }
}

/** Ends early with the executor. */
function pause({ clock, ending }: EngineContext, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(delayMs, done);
    ending.addEventListener("abort", done, { once: true });
    function done(): void {
      cancel();
      ending.removeEventListener("abort", done);
      resolve();
    }
  });
}
