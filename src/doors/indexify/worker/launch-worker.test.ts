import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { RunningWorker, WorkerRequest, Workers } from "../../../engine/workers/workers.ts";
import {
  ContainerDescriptionSchema,
  ContainerResourcesSchema,
  DataPayloadSchema,
} from "../../../gen/executor_api_pb.js";
import type { ContainerOrder } from "../commands/orders.ts";
import type { LaunchOptions } from "./launch-worker.ts";
import { launchWorker, taskOfContainer } from "./launch-worker.ts";

const SIGNAL = new AbortController().signal;

const order = (more: Partial<ContainerOrder> = {}): ContainerOrder => ({
  id: "c1",
  description: create(ContainerDescriptionSchema),
  function: { namespace: "n", application: "a", name: "f", version: "v1" },
  code: { uri: "", offset: 0n, size: 0n, sha256: "", payload: create(DataPayloadSchema) },
  initializeTimeoutMs: 0,
  allocationTimeoutMs: 0,
  maxConcurrency: 1,
  secretNames: [],
  resources: undefined,
  ...more,
});

/** Takes every worker. */
function fakeWorkers(needImage: boolean) {
  const asked: WorkerRequest[] = [];
  const workers: Workers = {
    needImage,
    check: () => undefined,
    start: (request) => {
      asked.push(request);
      const endpoint = { host: "::1", port: 9600 };
      return Promise.resolve({ endpoint, ended: new Promise(() => undefined) } as unknown as RunningWorker);
    },
  };
  return { workers, asked };
}

const options = (workers: Workers, more: Partial<LaunchOptions> = {}): LaunchOptions => ({
  workers,
  executorId: "e1",
  program: "/bin/sh",
  image: "",
  binds: [],
  network: "default",
  isolation: "default",
  secretNames: ["KEY"],
  environment: { PATH: "/bin", KEY: "secret", HEARTH_X: "x" },
  ...more,
});

test("a program of this host gets its flags, its size and a secret only if its function names it", async () => {
  const { workers, asked } = fakeWorkers(false);
  const resources = create(ContainerResourcesSchema, {
    cpuMsPerSec: 1500,
    memoryBytes: 1n << 30n,
    gpu: { count: 2 },
  });
  const process = await launchWorker(options(workers), order({ resources }), SIGNAL);
  expect(process.address).toBe("[::1]:9600");
  const [request] = asked;
  expect(request?.command("127.0.0.1:7")).toEqual([
    "/bin/sh",
    "--executor-id=e1",
    "--function-executor-id=c1",
    "--address",
    "127.0.0.1:7",
  ]);
  expect(request?.task).toMatchObject({
    image: "/bin/sh",
    resources: { cpuMillis: 1500, memoryBytes: 1 << 30, gpuCount: 2 },
  });
  expect(process.home?.task).toBe(request?.task);
  const taskOf = taskOfContainer(options(workers));
  expect(taskOf(order({ resources }))).toEqual(request?.task);
  expect(taskOf(undefined).resources).toMatchObject({ cpuMillis: 0, memoryBytes: 0, gpuCount: 0 });
  expect(request?.door).toBe("indexify");
  expect(request?.serves).toBe("n:a:f:v1");
  expect(request?.environment).toMatchObject({ PATH: "/bin", INDEXIFY_FE_ID: "c1" });
  expect(request?.environment).not.toHaveProperty("HEARTH_X");
  expect(request?.environment).not.toHaveProperty("KEY");
  expect((await launchAgain(workers, asked, ["KEY"]))["KEY"]).toBe("secret");
});

async function launchAgain(
  workers: Workers,
  asked: readonly WorkerRequest[],
  secretNames: readonly string[],
): Promise<Readonly<Record<string, string>>> {
  await launchWorker(options(workers), order({ secretNames }), SIGNAL);
  return asked.at(-1)?.environment ?? {};
}

test("a container inherits nothing, and without an image there is none", async () => {
  const { workers, asked } = fakeWorkers(true);
  await expect(launchWorker(options(workers), order(), SIGNAL)).rejects.toMatchObject({
    code: "IMAGE_NOT_FOUND",
  });
  await launchWorker(options(workers, { image: "functions:1", program: "fe" }), order(), SIGNAL);
  expect(asked[0]?.task.image).toBe("functions:1");
  expect(asked[0]?.command("0.0.0.0:9600")[0]).toBe("fe");
  expect(asked[0]?.environment).not.toHaveProperty("PATH");
});

test("X13: a program that is not there is named with what brings it", async () => {
  const { workers, asked } = fakeWorkers(false);
  const missing = launchWorker(options(workers, { program: "no-such-program" }), order(), SIGNAL);
  await expect(missing).rejects.toThrow(/no-such-program .* pip install tensorlake==0\.4\.0/);
  expect(asked).toEqual([]);
});
