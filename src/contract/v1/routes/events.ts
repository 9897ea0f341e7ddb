import { access, eventQuery, hostEvent, live } from "../events.ts";
import type { Route } from "../route.ts";
import { JSON_TYPE, NDJSON_TYPE, SSE_TYPE } from "../route.ts";

export const eventRoutes = {
  followEvents: {
    method: "GET",
    path: "/v1/events",
    tag: "host",
    summary: "Follow what happens on this host",
    description:
      "Goes on until the client leaves; server-sent events if asked for, else one JSON object per line. Send the last `id` as `Last-Event-ID` to go on after it; what can no longer be told is said with a `gap`. Calls are told as one `calls` event per second with a few samples, and every failure, at most twenty in a second, by itself; what is more is counted in `callsFailed`. `calls`, `waiting`, `engine` and `offer` are looked for only while somebody reads. A quiet stream carries an empty line or a comment every 15 s. A reader that is too slow is skipped ahead, with a `gap`.",
    scopes: ["read"],
    query: eventQuery,
    headers: { "Last-Event-ID": "The `id` of the last event that was read." },
    answers: {
      200: {
        description: "The events.",
        content: { [NDJSON_TYPE]: hostEvent, [SSE_TYPE]: hostEvent },
      },
    },
    problems: ["INPUT_INVALID"],
  },
  followLive: {
    method: "GET",
    path: "/v1/live",
    tag: "host",
    summary: "Follow the whole state of this host",
    description:
      "For pages and terminals: a whole snapshot, then a sample every second with what has changed and the events since. A reader that is too slow gets a new snapshot instead of the samples that it missed.",
    scopes: ["read"],
    answers: {
      200: { description: "Snapshot and samples.", content: { [NDJSON_TYPE]: live, [SSE_TYPE]: live } },
    },
    problems: [],
  },
  getAccess: {
    method: "GET",
    path: "/v1/access",
    tag: "about",
    summary: "Ask what this caller may do",
    description: "Never refused for its token: a wrong one has no scopes, and the reason is said.",
    scopes: [],
    answers: { 200: { description: "What it may do.", content: { [JSON_TYPE]: access } } },
    problems: [],
  },
} as const satisfies Record<string, Route>;
