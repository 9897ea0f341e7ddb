import type { ExecutorError } from "../../src/core/index.ts";
import type { FakeJob } from "../../src/drivers/fake/fake-job.ts";
import type { RunningJob } from "../../src/engine/jobs/jobs.ts";
import { jobRequest, ORDER } from "./job-order.ts";
import type { TestExecutor } from "./test-executor.ts";

/** For what nobody gives up. */
export const NEVER: AbortSignal = new AbortController().signal;

/** A job whose command runs. */
export async function run(
  parts: TestExecutor,
  jobId: string,
  cpu = 1,
  deadlineMs?: number,
): Promise<RunningJob> {
  const room = await parts.executor.jobs.reserve(jobRequest(jobId, cpu), NEVER);
  const starting = room.start({ ...ORDER, deadlineMs, inputBytes: 7 }, NEVER);
  await parts.clock.advance(100);
  return await starting;
}

/** In virtual time nothing comes to its end by itself. */
export async function passing<T>({ clock }: TestExecutor, work: Promise<T>): Promise<T> {
  await clock.advance(100);
  return await work;
}

export function live({ driver }: TestExecutor, jobId: string): FakeJob {
  const found = [...driver.liveJobs].find(({ mark }) => mark.jobId === jobId);
  if (found === undefined) throw new Error(`no job ${jobId} lives`);
  return found;
}

/** What became of a promise by now. */
export function watch<T>(work: Promise<T>): { value?: T; error?: ExecutorError } {
  const seen: { value?: T; error?: ExecutorError } = {};
  work.then(
    (value) => Object.assign(seen, { value }),
    (error: unknown) => Object.assign(seen, { error }),
  );
  return seen;
}
