import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MetricRow } from "../../src/telemetry/metrics/index.ts";
import { METRICS } from "../../src/telemetry/metrics/index.ts";
import type { TaskFolders } from "../support/echo-tasks.ts";
import { makeTaskFolders } from "../support/echo-tasks.ts";
import type { Exposition } from "../support/exposition.ts";
import { scrape } from "../support/exposition.ts";
import { call } from "../support/legacy-call.ts";
import { openScrapeStorm } from "../support/scrape-storm.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { startDaemon } from "../support/start-daemon.ts";

const hasPromtool = spawnSync("promtool", ["--version"]).error === undefined;
if (!hasPromtool && process.env["CI"] !== undefined) throw new Error("promtool is missing");

/** Of each kind of call. */
const KNOWN = { legacy: 800, v1: 100, refusedByTask: 50, noSuchTask: 50 } as const;
const AT_ONCE = 16;

/** Runs a work often, some at a time. */
async function times(count: number, work: () => Promise<unknown>): Promise<void> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await work();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

describe("the metrics", () => {
  let tasks: TaskFolders;
  let daemon: Daemon;
  let fresh: Exposition;

  beforeAll(async () => {
    tasks = await makeTaskFolders(["a"]);
    daemon = await startDaemon({ env: tasks.env });
    fresh = await scrape(daemon.monitorUrl);
  });
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]();
    await tasks[Symbol.asyncDispose]();
  });

  test("X4: every documented metric is there from the start, and every one that is there is documented", () => {
    const documented = new Map(Object.entries<MetricRow>(METRICS).map(([name, { type }]) => [name, type]));
    expect(Object.fromEntries(fresh.types)).toEqual(Object.fromEntries(documented));
    const doc = readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8");
    const [ofAll = ""] = doc.split("## Buckets");
    const inManual = [...ofAll.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
    expect(inManual.sort()).toEqual([...fresh.types.keys()].sort());
  });

  test("X4: what has no labels is there at 0 from the start, and so is every known combination of labels", () => {
    for (const [name, row] of Object.entries<MetricRow>(METRICS)) {
      if (row.labels.length > 0 || name.startsWith("hearth_host_disk")) continue;
      expect([name, fresh.samples.get(name)]).toEqual([name, expect.any(Number)]);
    }
    expect(fresh.value("hearth_sandbox_restarts_total")).toBe(0);
    expect(
      fresh.value("hearth_calls_total", { door: "http", isolation: "process", outcome: "answered" }),
    ).toBe(0);
    expect(fresh.value("hearth_call_errors_total", { code: "QUEUE_FULL" })).toBe(0);
    expect(fresh.value("hearth_call_queue_duration_seconds_count", { start: "cold" })).toBe(0);
    expect(fresh.value("hearth_sandbox_stops_total", { cause: "evicted" })).toBe(0);
    expect(fresh.value("hearth_sandboxes", { state: "hot", isolation: "process" })).toBe(0);
  });

  test("X4: no label holds an id or the name of an image", () => {
    const allowed = Object.values<MetricRow>(METRICS).flatMap(({ labels }) => labels);
    expect(allowed.filter((label) => /id$|image|task|sandbox/.test(label))).toEqual([]);
    const written = [...fresh.samples.keys()].flatMap((key) =>
      [...key.matchAll(/[{,](\w+)="/g)].map(([, label]) => label),
    );
    expect([...new Set(written)].filter((label) => label !== "le" && !allowed.includes(label ?? ""))).toEqual(
      [],
    );
  });

  /** 1000 calls, of which it is known what each of them counts. */
  async function makeKnownCalls(): Promise<void> {
    await call(daemon, "a", "first");
    await times(KNOWN.legacy - 1, () => call(daemon, "a", "hello"));
    await times(KNOWN.v1, async () => {
      const answer = await fetch(`${daemon.baseUrl}/v1/calls?image=a`, { method: "POST", body: "four" });
      expect(await answer.text()).toBe("four");
    });
    await times(KNOWN.refusedByTask, () => call(daemon, "a", `bad ${Buffer.from("no").toString("base64")}`));
    await times(KNOWN.noSuchTask, () => call(daemon, "none"));
  }

  function expectKnownCalls(before: Exposition, after: Exposition): void {
    const grown = (name: string, labels: Readonly<Record<string, string>>): number =>
      after.value(name, labels) - before.value(name, labels);
    const grownInAll = (name: string): number => after.sum(name) - before.sum(name);
    const reached = KNOWN.legacy + KNOWN.v1 + KNOWN.refusedByTask;
    const ended = (isolation: string, outcome: string) => ({ door: "http", isolation, outcome });
    expect(grown("hearth_calls_total", ended("process", "answered"))).toBe(reached);
    expect(grown("hearth_calls_total", ended("none", "failed"))).toBe(KNOWN.noSuchTask);
    expect(grownInAll("hearth_calls_total")).toBe(1000);
    expect(grownInAll("hearth_call_errors_total")).toBe(KNOWN.noSuchTask);
    expect(grownInAll("hearth_call_starts_total")).toBe(reached);
    expect(grownInAll("hearth_call_duration_seconds_count")).toBe(1000);
    const sent = (KNOWN.legacy - 1 + 1) * 5 + KNOWN.v1 * 4 + KNOWN.refusedByTask * 8;
    expect(grown("hearth_call_request_bytes_total", { door: "http" })).toBe(sent);
    const answered = KNOWN.legacy * 5 + KNOWN.v1 * 4 + KNOWN.refusedByTask * 2;
    expect(grown("hearth_call_answer_bytes_total", { door: "http" })).toBe(answered);
    expect(after.value("hearth_calls_running")).toBe(0);
  }

  test("X4: right after 1000 known calls the counters say so", async () => {
    const before = await scrape(daemon.monitorUrl);
    await makeKnownCalls();
    const after = await scrape(daemon.monitorUrl);
    expectKnownCalls(before, after);
    expect(after.value("hearth_call_starts_total", { start: "cold" })).toBe(1);
    expect(after.value("hearth_start_phase_duration_seconds_count", { phase: "first_byte" })).toBe(1);
    expect(after.value("hearth_sandboxes", { state: "hot", isolation: "process" })).toBeGreaterThanOrEqual(1);
    expect(after.value("hearth_reserved_cpu_cores", { door: "http" })).toBeGreaterThan(0);
    expect(after.value("hearth_engine_calls_total", { verb: "start" })).toBeGreaterThanOrEqual(1);
    expect(after.value("hearth_isolation_usable", { isolation: "process" })).toBe(1);
  }, 300_000);

  test("X4: in a storm of scrapes no counter loses a call, counts one twice, or ever goes back", async () => {
    const before = await scrape(daemon.monitorUrl);
    await using storm = openScrapeStorm([
      ...Array.from({ length: 6 }, () => () => scrape(daemon.monitorUrl)),
      ...Array.from({ length: 2 }, () => () => scrape(daemon.monitorUrl, "/monitoring/metrics")),
    ]);
    await storm.hasBegun;
    await makeKnownCalls();
    const seen = await storm.end();
    expectKnownCalls(before, await scrape(daemon.monitorUrl));
    expect(seen.flatMap((one) => one.wentBack)).toEqual([]);
    // What they saw is calls under way, and not one state over and over.
    for (const { calls } of seen) expect(new Set(calls).size).toBeGreaterThan(2);
  }, 300_000);

  test.skipIf(!hasPromtool)(
    "X4: promtool finds nothing to say, before the first call and after many",
    async () => {
      const later = await scrape(daemon.monitorUrl);
      for (const { text } of [fresh, later]) {
        const run = spawnSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8" });
        expect({ status: run.status, said: run.stdout + run.stderr }).toEqual({ status: 0, said: "" });
      }
      // That it would say something is known as well.
      const broken = later.text.replace(
        "# TYPE hearth_calls_total counter",
        "# TYPE hearth_calls_total gauge\nx{",
      );
      expect(spawnSync("promtool", ["check", "metrics"], { input: broken }).status).not.toBe(0);
    },
  );

  test("a histogram's buckets never fall, and its last one is its count", async () => {
    const { samples } = await scrape(daemon.monitorUrl, "/monitoring/metrics");
    const families = new Map<string, number[]>();
    for (const [key, value] of samples) {
      const match = /^(\w+)_bucket\{(.*?),?le="[^"]+"\}$/.exec(key);
      if (match === null) continue;
      const family = `${match[1]}_count{${match[2]}}`;
      families.set(family, [...(families.get(family) ?? []), value]);
    }
    expect(families.size).toBeGreaterThan(10);
    for (const [family, counts] of families) {
      expect(counts).toEqual([...counts].sort((a, b) => a - b));
      expect([family, counts.at(-1)]).toEqual([family, samples.get(family)]);
    }
  });
});
