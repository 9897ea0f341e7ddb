import * as z from "zod";
import type { ErrorCode } from "../../core/index.ts";
import { CALL_ENDS, DOOR_NAMES, ERRORS, JOB_ENDS, JOB_STATES, STOP_CAUSES } from "../../core/index.ts";
import { configValue } from "./config.ts";
import { executorState, host } from "./host.ts";
import { job } from "./jobs.ts";
import { named } from "./registry.ts";
import { sandbox, waitingCall } from "./sandboxes.ts";
import { count, isolation, serves } from "./shared.ts";

const codes = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]];
const code = z.enum(codes);
const door = z.enum(DOOR_NAMES).describe("Whose calls it is for.");

/** What every event has. */
const head = {
  id: z.string().describe("Send it back as `Last-Event-ID` to go on after it. It carries the daemon's life."),
  at: z.string().describe("RFC 3339, with milliseconds."),
};

const LIFE = ["starting", "hot", "retiring", "freezing", "frozen", "thawing", "stopping", "gone"] as const;

export const eventPhases = named(
  "EventPhases",
  "Where the time of a start went, in its order; a step not reached is absent.",
  z.object({
    resolveMs: z.number().optional().describe("Finding the image, or pulling it."),
    admitMs: z.number().optional().describe("Until there was room for it."),
    createMs: z.number().optional(),
    startMs: z.number().optional(),
    readyMs: z.number().optional(),
  }),
);

export const percentiles = named(
  "Percentiles",
  "Times in milliseconds, to within 5 %; all 0 where there was no call.",
  z.object({ p50: z.number(), p90: z.number(), p99: z.number(), max: z.number() }),
);

export const callSample = named(
  "CallSample",
  "One call of many.",
  z.object({
    runId: z.string().optional(),
    image: z.string(),
    door,
    sandboxId: z.string().optional(),
    end: z.enum(CALL_ENDS),
    status: z.number().optional().describe("Of the task's answer."),
    start: z.enum(["warm", "thawed", "cold"]).optional(),
    waitedMs: z.number(),
    tookMs: z.number(),
  }),
);

const problem = { code, detail: z.string().describe("What happened, for a person.") };

const jobHead = {
  jobId: z.string(),
  attempt: count,
  sandboxId: z.string(),
  image: z.string(),
  serves,
  taskKey: z.string(),
  door,
};

export const hostEvent = named(
  "HostEvent",
  "Something that happened on this host.",
  z.discriminatedUnion("type", [
    z.object({
      ...head,
      type: z.literal("sandbox").describe("A sandbox went from one state to another."),
      sandboxId: z.string(),
      image: z.string(),
      taskKey: z.string(),
      door,
      isolation: isolation.optional(),
      from: z.enum(LIFE).optional().describe("Absent for one that is new."),
      to: z.enum(LIFE),
      cause: z.enum(STOP_CAUSES).optional().describe("Why it ends."),
      forSandbox: z.string().optional().describe("The sandbox that its room is for."),
    }),
    z.object({
      ...head,
      type: z.literal("start").describe("A start of a sandbox came through, or did not."),
      image: z.string(),
      taskKey: z.string(),
      door,
      sandboxId: z.string().optional(),
      isolation: isolation.optional(),
      isReady: z.boolean(),
      isUnwanted: z.boolean().describe("It was given up because nobody wanted it any more."),
      wasPulled: z.boolean(),
      tookMs: z.number(),
      phases: eventPhases,
      problem: z.object(problem).optional(),
    }),
    z.object({
      ...head,
      type: z
        .literal("calls")
        .describe("All calls that ended within one interval; none is told without one."),
      intervalMs: z.number(),
      answered: count,
      failed: count,
      cancelled: count,
      warm: count.describe("Of the calls that got a slot: those that found one ready."),
      thawed: count,
      cold: count,
      tookMs: percentiles.describe("From accepted to the end of the answer, of answered calls."),
      waitedMs: percentiles.describe("From accepted to a slot, of answered calls."),
      bytesIn: z.number(),
      bytesOut: z.number(),
      samples: z.array(callSample).describe("A few of them."),
    }),
    z.object({
      ...head,
      type: z.literal("callFailed").describe("One call that failed for whatever reason, a refusal included."),
      runId: z.string().optional(),
      image: z.string(),
      door,
      sandboxId: z.string().optional(),
      fault: z.enum(["caller", "task", "host"]).describe("Who has to act."),
      ...problem,
      waitedMs: z.number(),
      tookMs: z.number(),
    }),
    z.object({
      ...head,
      type: z.literal("callsFailed").describe("Failures that came too fast to be told one by one."),
      untold: count,
      byCode: z.partialRecord(code, count),
    }),
    z.object({
      ...head,
      type: z
        .literal("waiting")
        .describe("Calls or jobs of a task wait, for another reason than before, or no more."),
      taskKey: z.string(),
      image: z.string(),
      callers: count.describe("0: none waits any more."),
      waitedMs: z.number(),
      reason: z.string(),
      areJobs: z.boolean().optional().describe("Whether they are jobs. Default: no."),
    }),
    z.object({
      ...head,
      type: z.literal("job").describe("A job went from one state to another."),
      ...jobHead,
      from: z.enum(JOB_STATES).optional().describe("Absent for one that has just got its room."),
      to: z.enum(JOB_STATES),
    }),
    z.object({
      ...head,
      type: z
        .literal("jobEnded")
        .describe("A job is over: its files are collected, or it was given up before its start."),
      ...jobHead,
      cause: z.enum(JOB_ENDS),
      isolation: isolation.optional(),
      waitedMs: z.number().describe("From its wish for room to its command."),
      ranMs: z.number(),
      bytesIn: z.number(),
      bytesOut: z.number(),
      problem: z.object(problem).optional(),
    }),
    z.object({
      ...head,
      type: z.literal("executor").describe("The executor's state changed."),
      state: executorState,
    }),
    z.object({
      ...head,
      type: z.literal("config").describe("Settings changed."),
      changed: z.array(
        z.object({ key: z.string(), before: configValue.optional(), after: configValue.optional() }),
      ),
    }),
    z.object({
      ...head,
      type: z.literal("engine").describe("The driver's engine stopped answering, or answers again."),
      isHealthy: z.boolean(),
      detail: z.string(),
    }),
    z.object({
      ...head,
      type: z
        .literal("offer")
        .describe("What this host offers changed: classes of isolation, GPUs, capacity."),
      host,
    }),
    z.object({
      ...head,
      type: z
        .literal("gap")
        .describe(
          "Events before this one are lost to this reader: read the state anew, then go on from here.",
        ),
      reason: z
        .enum(["overrun", "restarted", "unknown"])
        .describe(
          "`overrun`: the reader was away too long or read too slowly. `restarted`: another life of the daemon. `unknown`: no event has had the id that the reader named.",
        ),
    }),
  ]),
);
export type HostEvent = z.infer<typeof hostEvent>;

export const eventQuery = z.strictObject({
  after: z
    .string()
    .max(64)
    .optional()
    .describe("The same as `Last-Event-ID`, which is stronger where both are given."),
  recent: z.coerce
    .number()
    .int()
    .min(0)
    .max(1000)
    .default(0)
    .describe("Without an id: begin with at most this many events of the past."),
});

/** As in lists, but with times of its own instead of ages, so that it only changes when something happens. */
export const liveSandbox = named(
  "LiveSandbox",
  "A sandbox as lists show it, with points in time instead of ages.",
  sandbox.omit({ ageMs: true, idleMs: true }).extend({
    createdAt: z.string().describe("RFC 3339."),
    idleSince: z.string().optional().describe("RFC 3339: when its last call ended; absent while one runs."),
  }),
);
export type LiveSandbox = z.infer<typeof liveSandbox>;

export const engineHealth = named(
  "EngineHealth",
  "Whether the driver's engine answers.",
  z.object({ isHealthy: z.boolean(), detail: z.string() }),
);
export type EngineHealth = z.infer<typeof engineHealth>;

const figures = {
  at: z.string().describe("RFC 3339, by the daemon's clock."),
  host,
  engine: engineHealth,
  waiting: z.array(waitingCall),
  jobs: z.array(job).describe("All that hold room, the oldest first; at most 200."),
};

export const live = named(
  "Live",
  "The host while it is watched: a whole snapshot first and after each gap, then a sample every interval.",
  z.discriminatedUnion("type", [
    z.object({
      type: z.literal("snapshot"),
      ...figures,
      life: z.string().describe("Of the daemon; another one means that it was started anew."),
      intervalMs: z.number(),
      sandboxes: z.array(liveSandbox),
      events: z.array(hostEvent).describe("The last ones, oldest first."),
    }),
    z.object({
      type: z.literal("sample"),
      ...figures,
      sandboxes: z.object({ changed: z.array(liveSandbox), gone: z.array(z.string()) }),
      events: z.array(hostEvent).describe("Since the sample before, oldest first."),
    }),
  ]),
);
export type Live = z.infer<typeof live>;

export const access = named(
  "Access",
  "What this caller may do here.",
  z.object({
    wantsToken: z.boolean().describe("Whether this daemon wants a token at all."),
    scopes: z.array(z.enum(["run", "control", "read"])),
    reason: z.string().optional().describe("A sentence: why something is missing, if it is."),
  }),
);
export type Access = z.infer<typeof access>;
