import type { Session, SessionList } from "../../../contract/v1/sessions.ts";
import { asId } from "../../../core/index.ts";
import type { SessionView } from "../../../engine/executor.ts";
import { sendEmpty, sendJson } from "../answer/send-json.ts";
import type { Handler } from "./handler.ts";

/** What of an id an operator sees: enough to tell sessions apart, and useless for a call. */
const REF_LENGTH = 6;

export const listSessions: Handler<"listSessions"> = ({ executor }, { response }) => {
  const sessions = executor.sessions().map((view): SessionList["sessions"][number] => ({
    ...(view.sessionId === undefined ? {} : { ref: view.sessionId.slice(0, REF_LENGTH) }),
    isHold: view.sessionId === undefined,
    ...summary(view),
  }));
  sendJson(response, 200, { sessions });
};

export const getSession: Handler<"getSession"> = ({ executor }, { response }, { params }) => {
  sendJson(response, 200, showSession(executor.session(asId<"session">(params.sessionId))));
};

export const endSession: Handler<"endSession"> = ({ executor }, { response }, { params }) => {
  executor.endSession(asId<"session">(params.sessionId));
  sendEmpty(response, 204);
};

/** A session as its owner sees it. */
export function showSession(view: SessionView): Session {
  return { id: view.sessionId ?? "", ...summary(view) };
}

function summary({ sandboxId, task, calls, ageMs, expiresInMs }: SessionView): Omit<Session, "id"> {
  const { image, sgx } = task;
  return { sandboxId, image, sgx, calls, ageMs: Math.round(ageMs), expiresInMs: Math.round(expiresInMs) };
}
