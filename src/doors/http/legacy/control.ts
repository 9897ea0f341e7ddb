import { updateConfigBody } from "../../../contract/legacy/update-config.ts";
import { ExecutorError } from "../../../core/index.ts";
import { check, parseJson } from "../body/parse-json.ts";
import { readBody } from "../body/read-body.ts";
import type { DoorParts } from "../parts.ts";
import type { RequestContext } from "../request-context.ts";
import { audit } from "../v1/audit.ts";
import { changeConfig } from "../v1/config.ts";
import { sendLegacy } from "./send-legacy.ts";

/** `POST /pause`: answers once running calls have ended, or after a bounded wait, with how many still run. */
export async function pause(parts: DoorParts, context: RequestContext): Promise<void> {
  audit(parts, context, "pause");
  const { running } = await parts.executor.pause();
  const msg = running === 0 ? "paused" : `paused; calls still running: ${running}`;
  sendLegacy(context.response, 200, { success: true, msg, running });
}

/** `POST /unpause`. */
export function unpause(parts: DoorParts, context: RequestContext): void {
  if (parts.executor.view().state === "draining") {
    sendLegacy(context.response, 200, { success: false, msg: "the executor is stopping" });
    return;
  }
  audit(parts, context, "unpause");
  parts.executor.unpause();
  sendLegacy(context.response, 200, { success: true, msg: "unpaused" });
}

/** `POST /stop`: answers first, since clients parse the answer, then lets the daemon end. */
export function stop(parts: DoorParts, context: RequestContext): void {
  audit(parts, context, "stop");
  context.response.once("close", () => parts.options.onStop());
  sendLegacy(context.response, 200, { success: true, msg: "stopping" });
}

/** `POST /update-config`: only while paused; what the body leaves out keeps its value, and nothing is applied in part. */
export async function updateConfig(parts: DoorParts, context: RequestContext): Promise<void> {
  const { response } = context;
  try {
    const patch = check(updateConfigBody, parseJson(await readBody(parts, context)));
    const { state } = parts.executor.view();
    if (state !== "paused" && state !== "pausing") {
      const msg = "the configuration changes only while the executor is paused: POST /pause first";
      sendLegacy(response, 200, { success: false, msg });
      return;
    }
    const { notes } = await changeConfig(parts, context, withoutUndefined(patch));
    sendLegacy(response, 200, { success: true, msg: ["configuration updated", ...notes].join("; ") });
  } catch (error) {
    if (!(error instanceof ExecutorError) || error.spec.kind !== "invalid") throw error;
    sendLegacy(response, 400, { success: false, msg: error.message });
  }
}

function withoutUndefined(patch: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
}
