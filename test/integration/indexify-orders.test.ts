import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AllocationFailureReason } from "../../src/gen/executor_api_pb.js";
import { DoubleScheduler, type RequestEnd, storedJson } from "../support/indexify/double-scheduler.ts";
import { StubWorkers } from "../support/indexify/stub-workers.ts";
import { startTestExecutor } from "../support/indexify/test-executor.ts";
import { poll } from "../support/poll.ts";
import { type Random, random } from "../support/random.ts";

const SEEDS = Array.from({ length: 40 }, (_, index) => index + 1);
const STEPS = 30;
const IDS = ["a", "b", "c"] as const;
/** How often the executor had to register over all seeds: more than once each shows that numbers were missing. */
let registrations = 0;
const INPUT = JSON.stringify("input");

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-indexify-orders-"));
  await writeFile(join(folder, "code"), "what every worker is given");
  await writeFile(join(folder, "input"), INPUT);
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

interface Asked {
  readonly wanted: ReadonlySet<string>;
  readonly requests: readonly Promise<RequestEnd>[];
}

/** Containers added and removed and functions called, in an order that the seed decides; sometimes at once, sometimes not. */
async function ask(scheduler: DoubleScheduler, { int, pick, isOneIn }: Random): Promise<Asked> {
  const wanted = new Set<string>();
  const requests: Promise<RequestEnd>[] = [];
  for (let step = 0; step < STEPS; step += 1) {
    const id = pick(IDS);
    if (isOneIn(3))
      requests.push(scheduler.request(pick(["f", "g"]), storedJson(`file://${folder}/input`, INPUT)));
    else if (wanted.delete(id)) scheduler.removeContainer(id);
    else {
      wanted.add(id);
      await scheduler.addContainer(id, "f");
    }
    if (isOneIn(4)) await new Promise((resolve) => setTimeout(resolve, int(30)));
  }
  return { wanted, requests };
}

test.each(SEEDS)(
  "X7: commands that come twice and out of order end in one worker for each that is wanted, and run everything once (seed %i)",
  async (seed) => {
    const chance = random(seed);
    await using stubs = new StubWorkers();
    const scheduler = new DoubleScheduler({ zipPath: join(folder, "code"), blobFolder: folder });
    const { server } = scheduler;
    await server.start();
    await using _server = server;
    await using executor = startTestExecutor({
      serverAddress: server.address,
      functionExecutor: "nobody starts it",
      cacheFolder: join(folder, `cache-${seed}`),
      launch: async (order, signal) => await stubs.launch(order, signal),
    });
    await poll("the executor registers", () => executor.link.state.type === "ready" || "not yet");
    Object.assign(server.misbehaviour, { repeatsCommands: true, reorders: chance, delayMs: chance.int(3) });
    const { wanted, requests } = await ask(scheduler, chance);
    const ends = await Promise.all(requests);
    const reasons = ends.map((end) =>
      end.type === "failed" ? AllocationFailureReason[end.failed.reason] : "ran",
    );
    expect(reasons).toEqual(reasons.map(() => "ran"));
    const own = scheduler.running.filter((id) => id.startsWith("container-"));
    const expected = [...wanted, ...own].sort().join();
    await poll("what is wanted runs, and nothing else", () => {
      const { live } = stubs;
      return [...live].sort().join() === expected || `${live.join()} instead of ${expected}`;
    });
    expect([...stubs.runs.values()]).toEqual([...stubs.runs.keys()].map(() => 1));
    expect(stubs.runs.size).toBe(requests.length);
    for (const outcomes of server.executor("executor-1").outcomes.values()) expect(outcomes).toHaveLength(1);
    registrations += server.executor("executor-1").registrations;
    expect(stubs.violations).toEqual([]);
    expect(server.violations).toEqual([]);
  },
);

test("the seeds above met orders in which numbers were missing", () => {
  expect(registrations).toBeGreaterThan(SEEDS.length);
});
