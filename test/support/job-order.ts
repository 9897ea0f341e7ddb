import type { JobOrder, JobRequest } from "../../src/engine/jobs/jobs.ts";
import { task } from "./test-executor.ts";

/** What a door of the tests runs: the work folder is nobody's. */
export const ORDER: JobOrder = {
  command: ["true"],
  environment: {},
  workDir: { localPath: "/w", hostPath: "/w", target: "/work" },
  user: undefined,
  pidsLimit: undefined,
  deadlineMs: undefined,
  inputBytes: 0,
};

export function jobRequest(jobId: string, cpu = 1, memoryMib = 128, attempt = 1): JobRequest {
  return { mark: { jobId, attempt }, door: "stream", task: task("job", cpu, memoryMib) };
}
