import type { ClassReport } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { sendJson } from "../answer/send-json.ts";
import type { ConfigChange } from "../door-options.ts";
import type { DoorParts } from "../parts.ts";
import type { RequestContext } from "../request-context.ts";
import { audit } from "./audit.ts";
import type { Handler } from "./handler.ts";

/** How long an answer waits for the probe of a runtime that it names. */
const PROBE_PATIENCE_MS = 10_000;

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
  return { isApplied: true, notes: [...change.notes, ...(await microVmNotes(parts, patch))] };
}

/**
 * A runtime that the engine does not know is taken, since hosts are configured before it is installed; calls for it are refused.
 * Whether it is there is found out by its probe, which the change has begun.
 */
async function microVmNotes(
  { executor }: DoorParts,
  patch: Readonly<Record<string, unknown>>,
): Promise<string[]> {
  const runtime = patch["microVM_runtime"];
  if (typeof runtime !== "string" || runtime === "") return [];
  const reports = await probed(executor);
  const report = reports.find(({ isolation }) => isolation === "microVM");
  if (report?.state === "usable") return [];
  if (report?.state === "unproven")
    return [`the runtime ${runtime} is still tested: microVM calls wait for that`];
  const absent = `the engine does not offer the runtime ${runtime}`;
  const [reason = absent] = report?.reasons ?? [];
  return [
    reason.startsWith(absent)
      ? `${absent}: microVM calls are refused until it does`
      : `microVM calls are refused: ${reason}`,
  ];
}

/** What is known about the classes once a test under way has ended, or has taken too long. */
async function probed(executor: DoorParts["executor"]): Promise<readonly ClassReport[]> {
  try {
    return await executor.probe(AbortSignal.timeout(PROBE_PATIENCE_MS), "microVM");
  } catch {
    // The engine is away: the change is in force all the same.
    return executor.view().classes;
  }
}
