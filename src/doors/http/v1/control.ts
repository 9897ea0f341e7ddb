import { ExecutorError } from "../../../core/index.ts";
import { sendJson } from "../answer/send-json.ts";
import type { DoorParts } from "../parts.ts";
import { audit } from "./audit.ts";
import type { Handler } from "./handler.ts";

export const pause: Handler<"pause"> = async (parts, context) => {
  audit(parts, context, "pause");
  const { running } = await parts.executor.pause();
  sendJson(context.response, 200, { ...controlled(parts), running });
};

export const unpause: Handler<"unpause"> = (parts, context) => {
  if (parts.executor.view().state === "draining") throw new ExecutorError("DRAINING");
  audit(parts, context, "unpause");
  parts.executor.unpause();
  sendJson(context.response, 200, controlled(parts));
};

/** Answers first: what follows ends this very connection. */
export const drain: Handler<"drain"> = (parts, context) => {
  audit(parts, context, "drain");
  const { running } = controlled(parts);
  context.response.once("close", () => parts.options.onStop());
  sendJson(context.response, 202, { state: "draining", running });
};

function controlled({ executor }: DoorParts): { readonly state: string; readonly running: number } {
  const { state, running } = executor.view();
  return { state, running };
}
