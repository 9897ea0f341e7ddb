import { jobDetail, jobList, jobParams } from "../jobs.ts";
import type { Route } from "../route.ts";
import { JSON_TYPE } from "../route.ts";

export const jobRoutes = {
  listJobs: {
    method: "GET",
    path: "/v1/jobs",
    tag: "sandboxes",
    summary: "List the jobs that hold room on this host",
    scopes: ["read"],
    answers: { 200: { description: "The jobs.", content: { [JSON_TYPE]: jobList } } },
    problems: [],
  },
  getJob: {
    method: "GET",
    path: "/v1/jobs/{jobId}",
    tag: "sandboxes",
    summary: "Look at one job",
    scopes: ["read"],
    params: jobParams,
    answers: { 200: { description: "The job.", content: { [JSON_TYPE]: jobDetail } } },
    problems: ["JOB_NOT_FOUND"],
  },
} as const satisfies Record<string, Route>;
