import { expect, test } from "vitest";
import type { HostEvent } from "../client/index.ts";
import { eventLine } from "./event-line.ts";

type Told = HostEvent extends infer E ? (E extends HostEvent ? Omit<E, "id" | "at"> : never) : never;

const none = { p50: 0, p90: 0, p99: 0, max: 0 };

const LINES: readonly (readonly [Told, string])[] = [
  [
    {
      type: "sandbox",
      sandboxId: "s1",
      image: "a:1",
      taskKey: "k",
      door: "http",
      from: "hot",
      to: "stopping",
      cause: "evicted",
    },
    "sandbox s1 (a:1): hot -> stopping, evicted",
  ],
  [
    {
      type: "start",
      image: "a:1",
      taskKey: "k",
      door: "http",
      isReady: true,
      isUnwanted: false,
      wasPulled: false,
      tookMs: 1250,
      phases: {},
    },
    "start of a:1: ready after 1.3 s",
  ],
  [
    {
      type: "start",
      image: "a:1",
      taskKey: "k",
      door: "http",
      isReady: false,
      isUnwanted: false,
      wasPulled: false,
      tookMs: 5,
      phases: {},
      problem: { code: "IMAGE_NOT_FOUND", detail: "there is no such image" },
    },
    "start of a:1: failed, there is no such image",
  ],
  [
    {
      type: "calls",
      intervalMs: 1000,
      answered: 9,
      failed: 1,
      cancelled: 0,
      warm: 9,
      thawed: 0,
      cold: 0,
      tookMs: { ...none, p50: 1.5, p99: 8 },
      waitedMs: none,
      bytesIn: 0,
      bytesOut: 0,
      samples: [],
    },
    "calls: 9 answered, 1 failed, 0 cancelled; p50 1.5 ms, p99 8 ms",
  ],
  [{ type: "callsFailed", untold: 7, byCode: { QUEUE_FULL: 7 } }, "7 more calls failed: QUEUE_FULL 7"],
  [
    { type: "waiting", taskKey: "k", image: "a:1", callers: 2, waitedMs: 1, reason: "no room" },
    "2 of a:1 wait: no room",
  ],
  [
    {
      type: "job",
      jobId: "k2p9",
      attempt: 1,
      image: "sim:1",
      taskKey: "k",
      door: "stream",
      sandboxId: "s",
      to: "reserved",
    },
    "job k2p9, try 1 (sim:1): reserved",
  ],
  [
    {
      type: "job",
      jobId: "k2p9",
      attempt: 2,
      image: "sim:1",
      taskKey: "k",
      door: "stream",
      sandboxId: "s",
      from: "running",
      to: "settling",
    },
    "job k2p9, try 2 (sim:1): running -> settling",
  ],
  [
    {
      type: "job",
      jobId: "c1",
      attempt: 1,
      image: "/bin/function-executor",
      serves: "n:a:f:v1",
      taskKey: "k",
      door: "indexify",
      sandboxId: "s",
      to: "reserved",
    },
    "job c1, try 1 (n:a:f:v1): reserved",
  ],
  [
    {
      type: "jobEnded",
      jobId: "k2p9",
      attempt: 2,
      image: "sim:1",
      taskKey: "k",
      door: "stream",
      sandboxId: "s",
      cause: "exit",
      waitedMs: 5,
      ranMs: 65,
      bytesIn: 1,
      bytesOut: 2,
      problem: { code: "TASK_EXITED", detail: "it ended with exit code 3" },
    },
    "job k2p9, try 2: exit after 65 ms; it ended with exit code 3",
  ],
  [{ type: "config", changed: [{ key: "cpu", before: 2, after: 4 }] }, "settings: cpu 2 -> 4"],
  [{ type: "engine", isHealthy: false, detail: "no socket" }, "the engine does not answer: no socket"],
  [{ type: "gap", reason: "restarted" }, "gap: the daemon was started anew"],
];

test.each(LINES)("%o", (event, line) => {
  expect(eventLine({ id: "a.1", at: "", ...event })).toBe(line);
});

test("what a task has chosen is shown, and not obeyed by the terminal", () => {
  const image = "a\u001b[2Jb";
  const event: HostEvent = {
    id: "a.1",
    at: "",
    type: "waiting",
    taskKey: "k",
    image,
    callers: 0,
    waitedMs: 0,
    reason: "",
  };
  expect(eventLine(event)).toBe("no call of a\\x1b[2Jb waits any more");
});
