import { deadLetters, deadQuery, fleet, queue, replayed, replayRequest } from "../queue.ts";
import type { Route } from "../route.ts";
import { JSON_TYPE } from "../route.ts";

export const queueRoutes = {
  getQueue: {
    method: "GET",
    path: "/v1/queue",
    tag: "queue",
    summary: "Look at the queue of jobs and at the jobs that this host holds",
    scopes: ["read"],
    answers: { 200: { description: "The queue.", content: { [JSON_TYPE]: queue } } },
    problems: [],
  },
  listDeadJobs: {
    method: "GET",
    path: "/v1/queue/dead",
    tag: "queue",
    summary: "List the jobs that were put aside",
    scopes: ["read", "control"],
    query: deadQuery,
    answers: { 200: { description: "The dead jobs.", content: { [JSON_TYPE]: deadLetters } } },
    problems: ["QUEUE_OFF", "QUEUE_UNAVAILABLE"],
  },
  replayDeadJobs: {
    method: "POST",
    path: "/v1/queue/replay",
    tag: "queue",
    summary: "Put dead jobs back on their streams",
    description: "Once each, as if they were new. Names that are not there are passed over.",
    scopes: ["control"],
    body: replayRequest,
    answers: { 200: { description: "They are back.", content: { [JSON_TYPE]: replayed } } },
    problems: ["INPUT_INVALID", "QUEUE_OFF", "QUEUE_UNAVAILABLE"],
  },
  getFleet: {
    method: "GET",
    path: "/v1/fleet",
    tag: "queue",
    summary: "List the hosts that share the queue",
    scopes: ["read"],
    answers: { 200: { description: "The hosts.", content: { [JSON_TYPE]: fleet } } },
    problems: ["QUEUE_OFF", "QUEUE_UNAVAILABLE"],
  },
} as const satisfies Record<string, Route>;
