import type { LogFields } from "../../../core/index.ts";
import type { DoorParts } from "../parts.ts";
import type { RequestContext } from "../request-context.ts";

/** Writes the one line that every control action leaves: who, what, and what it changed. */
export function audit(
  { options }: DoorParts,
  { peer, tokenName, runId }: RequestContext,
  action: string,
  facts: LogFields = {},
): void {
  const token = tokenName === undefined ? {} : { token: tokenName };
  options.log.log("info", "control.used", { action, peer, ...token, requestId: runId, ...facts });
}
