import { attestQuery } from "../calls.ts";
import type { Route } from "../route.ts";
import { JSON_TYPE } from "../route.ts";
import { attestation, session, sessionList, sessionParams } from "../sessions.ts";
import { CALL_PROBLEMS, SESSION_HEADERS } from "./calls.ts";

export const sessionRoutes = {
  attest: {
    method: "POST",
    path: "/v1/attest",
    tag: "calls",
    summary: "Attest an SGX task's server and open a session with it",
    description:
      "Starts or finds a server of the task, asks it for its evidence (`GET /ra`) and passes that on as it stands. Calls with `session` then run on that very server. With `Accept: application/json` evidence and session come as one object. A task that answers with no success opens no session.",
    scopes: ["run"],
    query: attestQuery,
    answers: {
      200: {
        description: "The evidence, with the status that the task chose.",
        content: { [JSON_TYPE]: attestation, "*/*": undefined },
        headers: { "Hearth-Run-Id": "Names this call.", ...SESSION_HEADERS },
      },
    },
    problems: CALL_PROBLEMS,
  },
  listSessions: {
    method: "GET",
    path: "/v1/sessions",
    tag: "sandboxes",
    summary: "List the sessions that keep sandboxes",
    scopes: ["read", "control"],
    answers: { 200: { description: "The sessions.", content: { [JSON_TYPE]: sessionList } } },
    problems: [],
  },
  getSession: {
    method: "GET",
    path: "/v1/sessions/{sessionId}",
    tag: "calls",
    summary: "Look at a session",
    scopes: ["run"],
    params: sessionParams,
    answers: { 200: { description: "The session.", content: { [JSON_TYPE]: session } } },
    problems: ["SESSION_NOT_FOUND", "SESSION_ENDED"],
  },
  endSession: {
    method: "DELETE",
    path: "/v1/sessions/{sessionId}",
    tag: "calls",
    summary: "End a session",
    description: "Its server is let go; calls that it runs are finished.",
    scopes: ["run"],
    params: sessionParams,
    answers: { 204: { description: "It has ended." } },
    problems: ["SESSION_NOT_FOUND", "SESSION_ENDED"],
  },
} as const satisfies Record<string, Route>;
