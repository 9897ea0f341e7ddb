import * as z from "zod";
import { DOOR_NAMES, JOB_STATES } from "../../core/index.ts";
import { named } from "./registry.ts";
import { sandboxUsage } from "./sandboxes.ts";
import {
  count,
  image,
  isolation,
  isolationWish,
  networkWish,
  resources,
  serves,
  taskResources,
} from "./shared.ts";

/** What a job is at while it is on a list. */
export const jobState = z
  .enum(JOB_STATES)
  .exclude(["gone"])
  .describe(
    "`reserved`: it has its room, and its files are fetched. `settling`: its command has ended, and its files are collected. `leftover`: an earlier life of the daemon started it, and its door has not taken it over yet.",
  );

export const job = named(
  "Job",
  "One job that holds room on this host: a command that runs to its end.",
  z.object({
    jobId: z.string(),
    attempt: count.describe("Which try at the job this is, over all hosts; from 1."),
    door: z.enum(DOOR_NAMES),
    state: jobState,
    sandboxId: z.string().describe("Names its logs and figures; so does `jobId`."),
    label: z.string().optional().describe("What it is called outside, once its command runs."),
    image: z.string().describe("As asked for."),
    serves,
    imageDigest: z.string().optional(),
    isolation: isolation.optional().describe("The class really reached, once it is known."),
    isolationWish,
    network: networkWish,
    resources: taskResources.describe("What it may use."),
    reserved: resources.describe("What it holds of the host now."),
    gpuIds: z.array(z.string()).describe("The cards that it holds, by UUID."),
    ageMs: z.number().describe("Since it got its room."),
    ranMs: z.number().optional().describe("How long its command has run, or ran."),
  }),
);
export type Job = z.infer<typeof job>;

export const jobList = named(
  "JobList",
  "All jobs that hold room here, the oldest first; `/v1/waiting` has those that wait for it.",
  z.object({ jobs: z.array(job) }),
);
export type JobList = z.infer<typeof jobList>;

export const jobDetail = named(
  "JobDetail",
  "One job with its use of the host.",
  z.object({
    ...job.shape,
    usage: sandboxUsage.optional().describe("Absent where it cannot be read, as before its command runs."),
  }),
);
export type JobDetail = z.infer<typeof jobDetail>;

/** The grammar of job ids, which contains that of our own. */
export const sandboxOrJobId = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/);

export const jobParams = z.object({
  jobId: sandboxOrJobId.describe("The job's id (then its newest attempt is meant), or its sandbox's."),
});

export const logParams = z.object({
  sandboxId: image.describe(
    "The id of a sandbox, or of a job; else the beginning of a sandbox's id, its outside name, or its image.",
  ),
});
