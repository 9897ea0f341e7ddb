import { asId, ExecutorError } from "../../../core/index.ts";
import { sendEmpty, sendJson } from "../answer/send-json.ts";
import { audit } from "./audit.ts";
import type { Handler } from "./handler.ts";
import { showSandbox, showWaiting } from "./show-sandbox.ts";
import { usageOf } from "./usage-of.ts";

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
