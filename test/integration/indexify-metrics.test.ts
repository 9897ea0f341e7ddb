import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { doorFigures } from "../../src/doors/indexify/observe/door-figures.ts";
import { indexifyReaders } from "../../src/telemetry/metrics/indexify/indexify-readers.ts";
import { INDEXIFY_METRICS } from "../../src/telemetry/metrics/indexify/indexify-table.ts";
import { joinReaders, openRegistry } from "../../src/telemetry/metrics/registry.ts";
import { type Exposition, parseExposition } from "../support/exposition.ts";
import { DoubleScheduler, type RequestEnd, storedJson } from "../support/indexify/double-scheduler.ts";
import { openTensorlake, type Tensorlake } from "../support/indexify/tensorlake.ts";
import { startTestExecutor } from "../support/indexify/test-executor.ts";
import { poll } from "../support/poll.ts";

const SLOW_MS = 240_000;
let tensorlake: Tensorlake | string;
let folder: string;

beforeAll(async () => {
  tensorlake = await openTensorlake();
  folder = await mkdtemp(join(tmpdir(), "hearth-indexify-"));
}, 400_000);

afterAll(async () => rm(folder, { recursive: true, force: true }));

interface World extends AsyncDisposable {
  call(name: string, input: unknown): Promise<RequestEnd["type"]>;
  shown(): Promise<Exposition>;
}

async function openWorld(): Promise<World> {
  if (typeof tensorlake === "string") throw new Error(tensorlake);
  const blobs = await mkdtemp(join(folder, "world-"));
  await mkdir(join(blobs, "in"));
  const scheduler = new DoubleScheduler({ zipPath: tensorlake.appZip, blobFolder: blobs });
  await scheduler.server.start();
  const { functionExecutor } = tensorlake;
  const serverAddress = scheduler.server.address;
  const executor = startTestExecutor({ serverAddress, functionExecutor, cacheFolder: join(blobs, "cache") });
  await poll("the executor registers", () => executor.link.state.type === "ready" || "not yet");
  const readers = indexifyReaders({
    counters: executor.counters,
    identity: {
      ...{ executorId: "executor-1", version: "1", cacheFolder: "", serverAddress, configFile: undefined },
      ...{ hostName: "h", labels: {}, functions: [] },
    },
    figures: () => doorFigures(executor.desk, { state: "running", isHealthy: true }),
  });
  const registry = openRegistry(joinReaders(INDEXIFY_METRICS, readers));
  let inputs = 0;
  return {
    call: async (name, input) => {
      inputs += 1;
      const path = join(blobs, "in", `${inputs}.json`);
      await writeFile(path, JSON.stringify(input));
      return (await scheduler.request(name, storedJson(`file://${path}`, JSON.stringify(input)))).type;
    },
    shown: async () => parseExposition(await registry.text()),
    async [Symbol.asyncDispose]() {
      await executor[Symbol.asyncDispose]();
      await scheduler.server[Symbol.asyncDispose]();
    },
  };
}

describe.skipIf(!existsSync("/usr/bin/python3"))(
  "the metrics of the Indexify door, with the real worker",
  () => {
    test(
      "a function that fails is its own error, one whose worker dies is counted with it, and code comes from the cache",
      async () => {
        await using world = await openWorld();
        expect(await world.call("fails", "")).toBe("failed");
        expect(await world.call("doubles_of", [1, 2])).toBe("value");
        const { value } = await world.shown();
        const failure = { outcome_code: "failure", failure_reason: "function_error" };
        expect(value("allocations_completed_total", failure)).toBe(1);
        expect(value("allocation_run_errors_total")).toBe(0);
        expect(value("application_downloads_from_cache_total")).toBeGreaterThanOrEqual(1);
        expect(value("call_function_rpcs_total")).toBe(2);
        expect(value("function_call_message_size_mb_count")).toBe(2);
        expect(value("blob_store_create_multipart_upload_requests_total")).toBeGreaterThan(0);
        expect(await world.call("crashes", "")).toBe("failed");
        await poll("its worker is gone", async () => {
          const shown = await world.shown();
          return shown.value("function_executor_destroys_total") === 1 || "not yet";
        });
        const after = await world.shown();
        expect(after.value("allocations_completed_total", failure)).toBe(2);
        expect(after.value("allocation_run_errors_total")).toBe(1);
        expect(after.value("function_executor_destroy_errors_total")).toBe(0);
      },
      SLOW_MS,
    );
  },
);
