import { config, configChanged, configPatch } from "../config.ts";
import { controlled, host, stats } from "../host.ts";
import type { Route } from "../route.ts";
import { JSON_TYPE } from "../route.ts";

export const hostRoutes = {
  getHost: {
    method: "GET",
    path: "/v1/host",
    tag: "host",
    summary: "Look at this host and what its tasks hold",
    scopes: ["read"],
    answers: { 200: { description: "The host.", content: { [JSON_TYPE]: host } } },
    problems: [],
  },
  getStats: {
    method: "GET",
    path: "/v1/stats",
    tag: "host",
    summary: "The eleven figures of `/stats`, also while paused",
    scopes: ["read"],
    answers: { 200: { description: "The figures.", content: { [JSON_TYPE]: stats } } },
    problems: [],
  },
  getConfig: {
    method: "GET",
    path: "/v1/config",
    tag: "host",
    summary: "Read all settings in force",
    scopes: ["read", "control"],
    answers: { 200: { description: "The settings.", content: { [JSON_TYPE]: config } } },
    problems: [],
  },
  patchConfig: {
    method: "PATCH",
    path: "/v1/config",
    tag: "host",
    summary: "Change settings while running",
    description:
      "Checked and applied as a whole, or refused with every fault named. It lasts until the daemon ends.",
    scopes: ["control"],
    body: configPatch,
    answers: { 200: { description: "Applied.", content: { [JSON_TYPE]: configChanged } } },
    problems: ["INPUT_INVALID", "CONFIG_INVALID"],
  },
  pause: {
    method: "POST",
    path: "/v1/pause",
    tag: "host",
    summary: "Take no more calls",
    description: "Ends warm sandboxes as they fall idle. Answers when all is quiet, or after a bounded wait.",
    scopes: ["control"],
    answers: { 200: { description: "Paused.", content: { [JSON_TYPE]: controlled } } },
    problems: [],
  },
  unpause: {
    method: "POST",
    path: "/v1/unpause",
    tag: "host",
    summary: "Take calls again",
    scopes: ["control"],
    answers: { 200: { description: "Running.", content: { [JSON_TYPE]: controlled } } },
    problems: ["DRAINING"],
  },
  drain: {
    method: "POST",
    path: "/v1/drain",
    tag: "host",
    summary: "Stop: take no more calls, let running ones end, remove everything, exit",
    scopes: ["control"],
    answers: { 202: { description: "Draining.", content: { [JSON_TYPE]: controlled } } },
    problems: [],
  },
} as const satisfies Record<string, Route>;

export const aboutRoutes = {
  openapi: {
    method: "GET",
    path: "/openapi.json",
    tag: "about",
    summary: "This description",
    scopes: [],
    answers: { 200: { description: "OpenAPI 3.1.", content: { [JSON_TYPE]: undefined } } },
    problems: [],
  },
} as const satisfies Record<string, Route>;
