import { notWhole } from "../left-room.ts";
import type { World } from "../world.ts";
import type { CommonLabels } from "./labels.ts";

/** What its labels say is believed only as far as the engine agrees, and its class still is what it was. */
export async function proveClass(
  { classes }: World,
  { isolation, runtime }: CommonLabels,
  seen: string,
  signal: AbortSignal,
): Promise<void> {
  // Sessions end with the daemon that keeps them, and the operator may have changed what such a task is given.
  if (isolation === "sgx") throw notWhole("an enclave's server is not taken over");
  if (isolation === "container" && runtime === undefined) return;
  if (seen !== runtime)
    throw notWhole(`it runs in ${seen}, and was made to run in ${runtime ?? "the default"}`);
  await classes.prove(isolation, runtime, signal);
}
