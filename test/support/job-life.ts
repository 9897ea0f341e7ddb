import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { SandboxDriver } from "../../src/core/index.ts";
import type { DockerDriverOptions } from "../../src/drivers/docker/index.ts";
import { openDockerDriver } from "../../src/drivers/docker/index.ts";
import type { ProcessDriverOptions } from "../../src/drivers/process/index.ts";
import { openProcessDriver } from "../../src/drivers/process/index.ts";
import type { JobHarness } from "../conformance/sandbox-driver/harness.ts";
import { jobSpec } from "../conformance/sandbox-driver/job-scene.ts";
import { neverAborted } from "../conformance/sandbox-driver/scene.ts";
import { workerSpec } from "../conformance/sandbox-driver/worker-scene.ts";
import { poll } from "./poll.ts";

/**
 * One life of a driver in a process of its own, which may be another user's or be killed. Its only argument is this as JSON. It
 * starts one job and prints its sandbox's id. Then it waits to be killed, or for the job's end: then it reads a file that the
 * job left, removes the folder, and prints both. With `isWorker` it is a worker instead, without a folder and until it is killed.
 */
export interface JobLife {
  readonly docker?: DockerDriverOptions;
  readonly process?: ProcessDriverOptions;
  readonly jobs: JobHarness;
  readonly folder: string;
  readonly script: string;
  /** The file to be read after the end; without it the life waits to be killed. */
  readonly result?: string;
  readonly isWorker?: boolean;
}

const life = JSON.parse(process.argv[2] ?? "") as JobLife;
const driver = await open();
if (life.isWorker === true) {
  const worker = await driver.startWorker(await workerSpec(driver, life.jobs, life.script), neverAborted());
  console.log(JSON.stringify({ sandboxId: worker.id, endpoint: worker.endpoint }));
  await poll("somebody kills this process", () => "still alive", 120_000);
}
const image = await driver.resolve(life.jobs.image, { refresh: "missing" }, neverAborted());
const spec = jobSpec(life.jobs, image, life.folder, ["sh", "-c", life.script]);
const job = await driver.startJob(spec, neverAborted());
console.log(JSON.stringify({ sandboxId: job.id }));
if (life.result === undefined) {
  await poll("somebody kills this process", () => "still alive", 120_000);
} else {
  const end = await job.ended;
  const { localPath } = spec.workDir;
  const result = await readFile(join(localPath, life.result), "utf8");
  await rm(localPath, { recursive: true });
  await job.remove();
  console.log(JSON.stringify({ end, result }));
  await driver[Symbol.asyncDispose]();
}

async function open(): Promise<SandboxDriver> {
  if (life.docker !== undefined) return await openDockerDriver(life.docker, neverAborted());
  if (life.process !== undefined) return await openProcessDriver(life.process, neverAborted());
  throw new Error("a life needs a driver");
}
