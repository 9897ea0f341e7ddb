import * as z from "zod";
import { JOB_ENDS } from "../../core/index.ts";
import { named } from "./registry.ts";
import { count, diskBytes, resources } from "./shared.ts";

const wallMs = z.number().describe("Milliseconds since 1970.");

const fleetRoom = z.object({
  ...resources.shape,
  diskBytes: diskBytes
    .optional()
    .describe("Disk of work folders of jobs, in bytes; absent where a host does not say."),
});

export const fleetHost = named(
  "FleetHost",
  "One host that shares the queue, as it last said of itself.",
  z.object({
    hostId: z.string(),
    name: z.string(),
    version: z.string(),
    startedAtMs: wallMs,
    seenAtMs: wallMs,
    state: z.enum(["running", "draining", "paused"]),
    labels: z.record(z.string(), z.string()),
    capacity: fleetRoom,
    reserved: fleetRoom,
    jobs: z.object({ running: count, waiting: count.describe("Claimed, and not started yet.") }),
    warm: z.array(z.string()).describe("Tasks that are warm there, as `image isolation`; not always all."),
    executerTypes: z.array(z.string()),
  }),
);
export type FleetHost = z.infer<typeof fleetHost>;

export const fleet = named(
  "Fleet",
  "Every host that shares the queue with this one.",
  z.object({ hosts: z.array(fleetHost), self: z.string().describe("The `hostId` of this host.") }),
);
export type Fleet = z.infer<typeof fleet>;

export const JOB_STEPS = ["waiting", "staging", "starting", "running", "packing", "publishing"] as const;
export type JobStep = (typeof JOB_STEPS)[number];

export const queue = named(
  "Queue",
  "Where this host takes jobs from, and those that it holds.",
  z.object({
    isOn: z.boolean().describe("Whether the stream door is open; if not, everything else is empty."),
    state: z.enum(["connected", "away", "broken", "off"]),
    reason: z.string().optional().describe("Why it is not connected."),
    executerId: z.string().optional().describe("What this host is called in events."),
    streams: z.array(z.string()),
    figures: z.object({
      claimed: count,
      takenOver: count,
      released: count,
      committed: count,
      lost: count,
      deadLettered: count,
      vanished: count,
      reconnects: count,
      emptied: count.describe("How often it came back without what it knew."),
      buffered: count,
    }),
    jobs: z.array(
      z.object({
        jobId: z.string(),
        attempt: count,
        deaths: count.describe("Hosts that died with it before."),
        stream: z.string(),
        entryId: z.string(),
        executerType: z.string().optional(),
        method: z.string().optional(),
        step: z.enum(JOB_STEPS),
        end: z
          .enum(JOB_ENDS)
          .optional()
          .describe("How its command ended, once it has: from then on its results are packed and published."),
        sandboxId: z.string().optional().describe("Names its logs and figures once it runs."),
        ageMs: z.number(),
      }),
    ),
  }),
);
export type Queue = z.infer<typeof queue>;

export const deadQuery = z.strictObject({
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(1000)
    .default(100)
    .describe("At most this many, the oldest first."),
});

export const deadLetters = named(
  "DeadLetters",
  "Jobs that were put aside because they cannot be run, the oldest first.",
  z.object({
    letters: z.array(
      z.object({
        id: z.string().describe("Names it for `replay`."),
        stream: z.string(),
        entryId: z.string(),
        jobId: z.string(),
        reason: z.string(),
        deaths: count,
        atMs: wallMs,
        fields: z.record(z.string(), z.string()),
      }),
    ),
  }),
);
export type DeadLetters = z.infer<typeof deadLetters>;

/** Either some of them by name, or `all`. */
export const replayRequest = z.union([
  z.strictObject({ ids: z.array(z.string().min(1).max(128)).min(1).max(1000) }),
  z.strictObject({ all: z.literal(true) }),
]);
export type ReplayRequest = z.infer<typeof replayRequest>;

export const replayed = named(
  "Replayed",
  "How many dead jobs are on their streams again.",
  z.object({ replayed: count }),
);
export type Replayed = z.infer<typeof replayed>;
