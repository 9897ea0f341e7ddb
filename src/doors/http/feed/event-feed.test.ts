import { expect, test } from "vitest";
import type { HostEvent } from "../../../contract/v1/events.ts";
import { hostEvent } from "../../../contract/v1/events.ts";
import type { CallStory, JobStory } from "../../../core/index.ts";
import { asId, DEFAULT_RESOURCES, ExecutorError } from "../../../core/index.ts";
import { EventFeed } from "./event-feed.ts";

let nowMs = 0;

function open(): EventFeed {
  nowMs = 1_000_000;
  return new EventFeed({ life: "life", nowMs: () => nowMs });
}

function call(more: Partial<CallStory> = {}): CallStory {
  return {
    door: "http",
    runId: asId<"run">("r1"),
    task: {
      image: "echo:1",
      isolation: "default",
      resources: DEFAULT_RESOURCES,
      sgx: false,
      network: "default",
    },
    taskKey: asId<"taskKey">("k"),
    acceptedAtMs: 100,
    endedAtMs: 110,
    bytesIn: 3,
    bytesOut: 4,
    status: 200,
    end: "answered",
    error: undefined,
    placement: { sandboxId: asId<"sandbox">("s1"), start: "warm", waitedMs: 2 },
    ...more,
  } as CallStory;
}

const failed = (code: "QUEUE_FULL" | "TASK_EXITED"): CallStory =>
  call({ end: "failed", placement: undefined, error: new ExecutorError(code) });

function told(feed: EventFeed): readonly HostEvent[] {
  return feed.ring.read(feed.ring.oldest, 10_000).entries.map(({ event }) => event);
}

test("while nobody reads, answered calls leave nothing", () => {
  const feed = open();
  for (let i = 0; i < 1000; i += 1) feed.observer.callEnded(call());
  feed.flush(1000);
  expect(told(feed)).toEqual([]);
});

test("while somebody reads, any number of calls is one event with their sums, their times and a few of them", () => {
  const feed = open();
  feed.count(true, 0);
  for (let i = 0; i < 20_000; i += 1) feed.observer.callEnded(call());
  feed.observer.callEnded(call({ end: "cancelled", placement: undefined }));
  feed.flush(1000);
  feed.flush(2000);
  expect(told(feed)).toMatchObject([
    {
      type: "calls",
      intervalMs: 1000,
      answered: 20_000,
      failed: 0,
      cancelled: 1,
      warm: 20_000,
      cold: 0,
      bytesIn: 60_003,
      tookMs: { max: 10 },
      waitedMs: { max: 2 },
      samples: Array.from({ length: 5 }, () => ({
        runId: "r1",
        image: "echo:1",
        tookMs: 10,
        end: "answered",
      })),
    },
  ]);
});

test("a flood of failures is told by the first twenty of each second and the number of the others", () => {
  const feed = open();
  for (let i = 0; i < 500; i += 1) feed.observer.callEnded(failed("QUEUE_FULL"));
  nowMs += 1000;
  feed.observer.callEnded(failed("TASK_EXITED"));
  const events = told(feed);
  expect(events.map(({ type }) => type)).toEqual([
    ...Array.from({ length: 20 }, () => "callFailed"),
    "callsFailed",
    "callFailed",
  ]);
  expect(events[20]).toMatchObject({ untold: 480, byCode: { QUEUE_FULL: 480 } });
  expect(events[21]).toMatchObject({
    code: "TASK_EXITED",
    runId: "r1",
    fault: "task",
    tookMs: 10,
    waitedMs: 10,
  });
});

test("an error that is not ours is told without its text", () => {
  const feed = open();
  feed.observer.callEnded(call({ end: "failed", error: new Error("a secret path") }));
  expect(told(feed)).toMatchObject([{ type: "callFailed", code: "INTERNAL" }]);
  expect(JSON.stringify(told(feed))).not.toContain("secret");
});

test("a change of settings says what was before and after, and nothing else", () => {
  const feed = open();
  const entry = (key: string, value: number) => ({
    key,
    value,
    origin: "file",
    description: "",
    isLive: true,
  });
  feed.settings([entry("cpu", 2), entry("mem", 512)]);
  feed.settings([entry("cpu", 2), entry("mem", 512)]);
  feed.settings([entry("cpu", 4), entry("mem", 512)]);
  expect(told(feed)).toMatchObject([{ type: "config", changed: [{ key: "cpu", before: 2, after: 4 }] }]);
});

test("a job is told of at each step, and at its end with what became of it", () => {
  const feed = open();
  const job = {
    ...{ door: "stream", mark: { jobId: "k2p9", attempt: 2 }, task: call().task, taskKey: call().taskKey },
    ...{ sandboxId: asId<"sandbox">("s1"), state: "running", isolation: "container", acceptedAtMs: 0 },
    ...{ serves: "n:a:f:v1", startedAtMs: 40, endedAtMs: 140, bytesIn: 1, bytesOut: 2, end: "exit" },
    error: new ExecutorError("TASK_EXITED", { exitCode: 3 }),
  } as unknown as JobStory;
  feed.observer.jobChanged(job, "starting");
  feed.observer.jobEnded(job);
  const told = feed.ring.read(1, 10).entries.map(({ event }) => hostEvent.parse(event));
  expect(told).toMatchObject([
    { type: "job", jobId: "k2p9", serves: "n:a:f:v1", attempt: 2, from: "starting", to: "running" },
    { type: "jobEnded", cause: "exit", waitedMs: 40, ranMs: 100, problem: { code: "TASK_EXITED" } },
  ]);
});
