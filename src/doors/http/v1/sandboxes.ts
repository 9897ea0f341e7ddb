import type { SandboxUsage } from "../../../contract/v1/sandboxes.ts";
import type { SandboxId } from "../../../core/index.ts";
import { asId, ExecutorError } from "../../../core/index.ts";
import { withDeadline } from "../../../std/index.ts";
import { sendEmpty, sendJson } from "../answer/send-json.ts";
import type { DoorParts } from "../parts.ts";
import { audit } from "./audit.ts";
import type { Handler } from "./handler.ts";
import { showSandbox, showWaiting } from "./show-sandbox.ts";

const USAGE_TIMEOUT_MS = 3000;

export const listSandboxes: Handler<"listSandboxes"> = ({ executor }, { response }) => {
  sendJson(response, 200, { sandboxes: executor.sandboxes().map(showSandbox) });
};

export const getSandbox: Handler<"getSandbox"> = async (parts, { response }, { params }) => {
  const sandboxId = asId<"sandbox">(params.sandboxId);
  const view = parts.executor.sandboxes().find((sandbox) => sandbox.sandboxId === sandboxId);
  if (view === undefined) throw new ExecutorError("SANDBOX_NOT_FOUND", { sandboxId });
  const usage = await usageOf(parts, sandboxId);
  sendJson(response, 200, { ...showSandbox(view), ...(usage === undefined ? {} : { usage }) });
};

export const evictSandbox: Handler<"evictSandbox"> = async (parts, context, { params, query }) => {
  const sandboxId = asId<"sandbox">(params.sandboxId);
  audit(parts, context, "evict", { sandboxId, isForced: query.force });
  await parts.executor.evict(sandboxId, { isForced: query.force });
  sendEmpty(context.response, 204);
};

export const listWaiting: Handler<"listWaiting"> = ({ executor }, { response }) => {
  sendJson(response, 200, { waiting: executor.waiting().map(showWaiting) });
};

/** A figure that cannot be read, as while the sandbox starts, must not hide the rest. */
async function usageOf({ executor }: DoorParts, sandboxId: SandboxId): Promise<SandboxUsage | undefined> {
  try {
    const { cpuMs, memoryBytes, memoryPeakBytes } = await withDeadline(
      { ms: USAGE_TIMEOUT_MS, code: "ENGINE_UNAVAILABLE" },
      (signal) => executor.usage(sandboxId, signal),
    );
    return { cpuMs, memoryBytes, ...(memoryPeakBytes === undefined ? {} : { memoryPeakBytes }) };
  } catch {
    return undefined;
  }
}
