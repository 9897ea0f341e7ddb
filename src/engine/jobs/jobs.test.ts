import { expect, test } from "vitest";
import { task, testExecutor } from "../../../test/support/test-executor.ts";
import { settle } from "../../../test/support/virtual-clock.ts";
import { NO_RESOURCES } from "../../core/index.ts";
import type { JobOrder, JobRequest } from "./jobs.ts";

const ORDER: JobOrder = {
  command: ["true"],
  environment: {},
  workDir: { localPath: "/w", hostPath: "/w", target: "/work" },
  user: undefined,
  pidsLimit: undefined,
  deadlineMs: undefined,
  inputBytes: 0,
};

function request(jobId: string, cpu = 1, attempt = 1): JobRequest {
  return { mark: { jobId, attempt }, door: "stream", task: task("job", cpu) };
}

const NEVER = new AbortController().signal;

test("a job holds its room from its reservation to its settlement", async () => {
  const { executor, driver, clock } = await testExecutor({}, { startMs: 30, stopMs: 20 });
  const room = await executor.jobs.reserve(request("a"), NEVER);
  expect(executor.view().reserved.cpuMillis).toBe(1000);
  const starting = room.start(ORDER, NEVER);
  await settle();
  expect(executor.jobs.list()).toMatchObject([{ state: "starting", mark: { jobId: "a" } }]);
  await clock.advance(30);
  const job = await starting;
  const [live] = [...driver.liveJobs];
  live?.die({ type: "exited", exitCode: 3 });
  expect(await job.ending).toMatchObject({ cause: "exit", exitCode: 3 });
  expect(executor.view().reserved.cpuMillis).toBe(1000);
  const settling = job.settle(0);
  await clock.advance(20);
  await settling;
  expect(driver.liveJobs.size).toBe(0);
  expect(executor.view().reserved).toEqual(NO_RESOURCES);
  expect(executor.jobs.list()).toEqual([]);
  await executor[Symbol.asyncDispose]();
});
