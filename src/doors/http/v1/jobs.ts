import { ExecutorError } from "../../../core/index.ts";
import { sendJson } from "../answer/send-json.ts";
import type { Handler } from "./handler.ts";
import { showJob } from "./show-job.ts";
import { usageOf } from "./usage-of.ts";

export const listJobs: Handler<"listJobs"> = ({ executor }, { response }) => {
  sendJson(response, 200, { jobs: executor.jobs.list().map(showJob) });
};

export const getJob: Handler<"getJob"> = async (parts, { response }, { params: { jobId } }) => {
  const all = parts.executor.jobs.list();
  const view =
    all.find(({ sandboxId }) => sandboxId === jobId) ?? all.findLast(({ mark }) => mark.jobId === jobId);
  if (view === undefined) throw new ExecutorError("JOB_NOT_FOUND", { jobId });
  const usage = await usageOf(parts, view.sandboxId);
  sendJson(response, 200, { ...showJob(view), ...(usage === undefined ? {} : { usage }) });
};
