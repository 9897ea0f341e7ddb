import { prefetchEvent, prefetched, prefetchRequest, taskList } from "../images.ts";
import { logParams } from "../jobs.ts";
import type { Route } from "../route.ts";
import { JSON_TYPE, NDJSON_TYPE, SSE_TYPE, TEXT_TYPE } from "../route.ts";
import {
  evictQuery,
  logChunk,
  logQuery,
  logTail,
  sandboxDetail,
  sandboxList,
  sandboxParams,
  waitingList,
} from "../sandboxes.ts";

export const sandboxRoutes = {
  listSandboxes: {
    method: "GET",
    path: "/v1/sandboxes",
    tag: "sandboxes",
    summary: "List all sandboxes",
    scopes: ["read"],
    answers: { 200: { description: "The sandboxes.", content: { [JSON_TYPE]: sandboxList } } },
    problems: [],
  },
  getSandbox: {
    method: "GET",
    path: "/v1/sandboxes/{sandboxId}",
    tag: "sandboxes",
    summary: "Look at one sandbox",
    scopes: ["read"],
    params: sandboxParams,
    answers: { 200: { description: "The sandbox.", content: { [JSON_TYPE]: sandboxDetail } } },
    problems: ["SANDBOX_NOT_FOUND"],
  },
  evictSandbox: {
    method: "DELETE",
    path: "/v1/sandboxes/{sandboxId}",
    tag: "sandboxes",
    summary: "Remove one warm sandbox",
    scopes: ["control"],
    params: sandboxParams,
    query: evictQuery,
    answers: { 204: { description: "It is gone." } },
    problems: ["SANDBOX_NOT_FOUND", "SANDBOX_BUSY", "ENGINE_UNAVAILABLE", "ENGINE_FAILED"],
  },
  readLogs: {
    method: "GET",
    path: "/v1/sandboxes/{sandboxId}/logs",
    tag: "sandboxes",
    summary: "Read what a sandbox or a job printed",
    description:
      "Text by default. Without `follow`: JSON if asked for. With it: one JSON object per line, or server-sent events, if asked for. " +
      "A name means the newest living sandbox that it fits, or if there is none the newest that has ended, of those whose last output is kept.",
    scopes: ["read"],
    params: logParams,
    query: logQuery,
    answers: {
      200: {
        description: "The output.",
        content: {
          [TEXT_TYPE]: undefined,
          [JSON_TYPE]: logTail,
          [NDJSON_TYPE]: logChunk,
          [SSE_TYPE]: logChunk,
        },
      },
    },
    problems: ["SANDBOX_NOT_FOUND", "ENGINE_UNAVAILABLE", "ENGINE_FAILED"],
  },
  listWaiting: {
    method: "GET",
    path: "/v1/waiting",
    tag: "sandboxes",
    summary: "List the calls and jobs that wait, and why",
    scopes: ["read"],
    answers: { 200: { description: "What waits.", content: { [JSON_TYPE]: waitingList } } },
    problems: [],
  },
  prefetch: {
    method: "POST",
    path: "/v1/images/prefetch",
    tag: "sandboxes",
    summary: "Fetch an image, or what its tag names now",
    description:
      "Warm sandboxes of an older content take no further calls. Shows progress if a stream is asked for.",
    scopes: ["control"],
    body: prefetchRequest,
    answers: {
      200: {
        description: "The image is here.",
        content: { [JSON_TYPE]: prefetched, [NDJSON_TYPE]: prefetchEvent, [SSE_TYPE]: prefetchEvent },
      },
    },
    problems: [
      "INPUT_INVALID",
      "IMAGE_NAME_INVALID",
      "IMAGE_NOT_FOUND",
      "TASK_NOT_FOUND",
      "IMAGE_FORBIDDEN",
      "IMAGE_PULL_FAILED",
      "ENGINE_UNAVAILABLE",
      "ENGINE_FAILED",
      "DISK_FULL",
      "DRAINING",
    ],
  },
  listTasks: {
    method: "GET",
    path: "/v1/tasks",
    tag: "sandboxes",
    summary: "List the task folders that the process driver knows",
    scopes: ["read"],
    answers: {
      200: { description: "The tasks; none with another driver.", content: { [JSON_TYPE]: taskList } },
    },
    problems: [],
  },
} as const satisfies Record<string, Route>;
