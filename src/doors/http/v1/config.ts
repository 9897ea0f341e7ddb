import { ExecutorError } from "../../../core/index.ts";
import { sendJson } from "../answer/send-json.ts";
import type { ConfigChange } from "../door-options.ts";
import type { DoorParts } from "../parts.ts";
import type { RequestContext } from "../request-context.ts";
import { audit } from "./audit.ts";
import type { Handler } from "./handler.ts";

export const getConfig: Handler<"getConfig"> = ({ options }, { response }) => {
  sendJson(response, 200, { settings: options.describeConfig() });
};

export const patchConfig: Handler<"patchConfig"> = async (parts, context, { body }) => {
  const { notes } = await changeConfig(parts, context, body);
  sendJson(context.response, 200, { settings: parts.options.describeConfig(), notes });
};

/**
 * Applies a change of settings, and leaves a line about it with what was before and after.
 *
 * @throws {@link ExecutorError} CONFIG_INVALID with every fault; then nothing has changed.
 */
export async function changeConfig(
  parts: DoorParts,
  context: RequestContext,
  patch: Readonly<Record<string, unknown>>,
): Promise<Extract<ConfigChange, { isApplied: true }>> {
  const { options } = parts;
  const before = new Map(options.describeConfig().map(({ key, value }) => [key, value]));
  const change = await options.applyConfig(patch);
  if (!change.isApplied) {
    const faults = change.faults.map(({ key, message }) => (key === "" ? message : `${key}: ${message}`));
    audit(parts, context, "config", { isApplied: false, faults });
    throw new ExecutorError("CONFIG_INVALID", { field: change.faults[0]?.key, faults });
  }
  const changed = options
    .describeConfig()
    .filter(({ key, value }) => JSON.stringify(value) !== JSON.stringify(before.get(key)))
    .map(({ key, value }) => ({ key, before: before.get(key), after: value }));
  audit(parts, context, "config", { isApplied: true, changed });
  return { isApplied: true, notes: [...change.notes, ...microVmNotes(parts, patch)] };
}

/** A runtime that the engine does not know is taken, since hosts are configured before it is installed; calls for it are refused. */
function microVmNotes({ executor }: DoorParts, patch: Readonly<Record<string, unknown>>): string[] {
  const runtime = patch["microVM_runtime"];
  if (typeof runtime !== "string" || runtime === "") return [];
  if (executor.view().capabilities.isolation.includes("microVM")) return [];
  return [`the engine does not offer the runtime ${runtime}: microVM calls are refused until it does`];
}
