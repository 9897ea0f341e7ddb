import * as z from "zod";
import { named } from "./registry.ts";
import {
  count,
  idText,
  isolation,
  isolationWish,
  networkWish,
  phases,
  resources,
  taskResources,
} from "./shared.ts";

export const sandbox = named(
  "Sandbox",
  "One warm sandbox, or one that starts or ends.",
  z.object({
    id: z.string(),
    label: z.string().describe("Its name outside: the container's name, or the process group's leader."),
    taskKey: z.string().describe("Calls with the same key may meet the same sandboxes."),
    image: z.string().describe("As asked for."),
    imageDigest: z.string().optional(),
    isolation: isolation.optional().describe("The class really reached, once it is known."),
    isolationWish,
    network: networkWish,
    sgx: z.boolean(),
    tier: z
      .enum(["starting", "hot", "retiring", "freezing", "frozen", "thawing", "stopping"])
      .describe(
        "Where it is in its life; `retiring`: it ends with the calls that run in it, and takes no other.",
      ),
    resources: taskResources.describe("What it may use."),
    gpuIds: z.array(z.string()).describe("The cards that it holds, by UUID."),
    reserved: resources.describe("What it holds of the host now; a frozen one holds memory only."),
    slotsUsed: count.describe("Calls that run in it now."),
    slots: count,
    calls: count.describe("Calls it has taken so far."),
    sessions: count.describe(
      "Sessions that keep it; while there is one it is not removed for idleness or need.",
    ),
    ageMs: z.number(),
    idleMs: z.number().optional().describe("Since the end of its last call."),
    phases: phases.optional(),
    warnings: z.array(z.string()),
  }),
);
export type Sandbox = z.infer<typeof sandbox>;

export const sandboxList = named("SandboxList", "All sandboxes.", z.object({ sandboxes: z.array(sandbox) }));
export type SandboxList = z.infer<typeof sandboxList>;

export const sandboxUsage = named(
  "SandboxUsage",
  "What a sandbox has used so far.",
  z.object({
    cpuMs: z.number().describe("CPU time since its start."),
    memoryBytes: z.number(),
    memoryPeakBytes: z.number().optional(),
  }),
);
export type SandboxUsage = z.infer<typeof sandboxUsage>;

export const sandboxDetail = named(
  "SandboxDetail",
  "One sandbox with its use of the host.",
  z.object({
    ...sandbox.shape,
    usage: sandboxUsage.optional().describe("Absent where it cannot be read, as before it runs."),
  }),
);
export type SandboxDetail = z.infer<typeof sandboxDetail>;

export const waitingCall = named(
  "WaitingCall",
  "Calls or jobs of one task that wait, and for what.",
  z.object({
    taskKey: z.string(),
    image: z.string(),
    resources: taskResources,
    callers: count,
    waitedMs: z.number(),
    reason: z.string().describe("A sentence: why it does not run yet."),
    jobIds: z.array(z.string()).optional().describe("Of jobs: which, at most 100. Absent: they are calls."),
  }),
);
export type WaitingCall = z.infer<typeof waitingCall>;

export const waitingList = named(
  "WaitingList",
  "All calls and jobs that wait.",
  z.object({ waiting: z.array(waitingCall) }),
);
export type WaitingList = z.infer<typeof waitingList>;

export const sandboxParams = z.object({ sandboxId: idText });

export const evictQuery = z.strictObject({
  force: z
    .stringbool()
    .default(false)
    .describe("Also while calls run in it, and a worker or job; they are ended."),
});

export const logQuery = z.strictObject({
  tailBytes: z.coerce
    .number()
    .int()
    .min(0)
    .max(1_048_576)
    .default(65_536)
    .describe("How much of the end of what is already there."),
  follow: z.stringbool().default(false).describe("Go on with what comes, until the sandbox ends."),
});

export const logTail = named(
  "LogTail",
  "The end of a sandbox's output.",
  z.object({
    text: z.string(),
    isTruncated: z.boolean().describe("Whether older output existed and is not shown."),
    sandboxId: z.string().describe("Of the sandbox that printed it, whole."),
    hasEnded: z.boolean().describe("Whether that sandbox is gone: then this is the last of it."),
  }),
);
export type LogTail = z.infer<typeof logTail>;

export const logChunk = named(
  "LogChunk",
  "Some output of a sandbox; lines may span chunks.",
  z.object({ stream: z.enum(["stdout", "stderr"]), text: z.string() }),
);
export type LogChunk = z.infer<typeof logChunk>;
