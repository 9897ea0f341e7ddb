import * as z from "zod";
import { DOOR_NAMES, NETWORK_POLICIES } from "../../core/index.ts";
import { named } from "./registry.ts";
import { count, diskBytes, isolation, resources } from "./shared.ts";

const networkPolicy = z.enum(NETWORK_POLICIES);
const limitKind = z.enum(["cpu", "memory", "pids"]);

export const executorState = z.enum(["running", "pausing", "paused", "draining"]);

export const classReport = named(
  "ClassReport",
  "One isolation class as this host has it, and what a test sandbox in it showed.",
  z.object({
    isolation,
    runtime: z
      .string()
      .optional()
      .describe("The engine's runtime behind it; absent for the engine's own default."),
    state: z
      .enum(["usable", "unusable", "unproven"])
      .describe("`unproven`: its probe has not ended; calls that need it wait for that."),
    reasons: z
      .array(z.string())
      .describe("Why it is unusable, or what is missing in it though it is usable."),
    sight: z
      .object({
        kernel: z.string().describe("Release and version as programs in it read them."),
        hasOwnKernel: z.boolean().describe("Whether that is another kernel than the host's."),
        enforced: z.array(limitKind).describe("Limits that were tried and held."),
        ignored: z.array(limitKind).describe("Limits that were tried and did not hold."),
        hasNoNewPrivileges: z.boolean().describe("Whether a setuid program gains nothing."),
        reachesExecutor: z.boolean().describe("Whether the executor's own doors can be reached from inside."),
      })
      .optional()
      .describe("What its probe saw; absent until one came far enough."),
  }),
);

export const networkReport = named(
  "NetworkReport",
  "What tasks may be let reach on this host, and whether something holds them to it.",
  z.object({
    default: networkPolicy
      .optional()
      .describe("For calls that ask for nothing; absent where nothing holds tasks to any policy."),
    offered: z.array(networkPolicy).describe("What calls may ask for."),
    isFiltered: z
      .boolean()
      .describe("Whether rules keep tasks from this host's services, private networks and cloud metadata."),
    reasons: z.array(z.string()).describe("Why a policy is not on offer, or what is not enforced."),
  }),
);

export const gpu = named(
  "Gpu",
  "One card that tasks may be given, as it was last read.",
  z.object({
    id: z.string().describe("Its UUID."),
    index: count.describe("Its place in the host's own order."),
    model: z.string(),
    memoryBytes: count,
    memoryUsedBytes: count.describe("By everything on the host."),
    computePercent: z.number().describe("How much it computed in the last sample, 0 to 100."),
    isHealthy: z.boolean().describe("If not, no task is given it."),
    reason: z.string().optional().describe("Why it is not healthy."),
    isBusyOutside: z.boolean().describe("No task here holds it, and it is in use all the same."),
    holders: z.array(
      z.object({
        sandboxId: z.string(),
        memoryBytes: count.describe("What it booked of the card; 0 is the whole of it."),
      }),
    ),
  }),
);
export type Gpu = z.infer<typeof gpu>;

export const hostDisk = named(
  "HostDisk",
  "The file system that work folders of jobs lie on; without jobs, that of the state directory.",
  z.object({
    totalBytes: diskBytes.describe("All of it, as it was when the daemon started."),
    availableBytes: diskBytes.describe("What anybody may still write there."),
    capacityBytes: diskBytes.describe("What jobs may hold in all."),
    reservedBytes: diskBytes.describe("What they hold now, each as much as it may write."),
  }),
);

export const host = named(
  "Host",
  "This host, what its tasks may use, and what they hold.",
  z.object({
    version: z.string(),
    state: executorState,
    driver: z.string(),
    isolation: z.array(isolation).describe("The classes that are usable now, each proven by its probe."),
    classes: z
      .array(classReport)
      .describe("Every class that is built in or configured; the first is what `default` means."),
    networks: networkReport,
    canFreeze: z.boolean(),
    canAdopt: z.boolean().describe("Whether warm sandboxes outlive the daemon."),
    cpuMillis: count.describe("All CPU of the host, in thousandths of a core."),
    memoryBytes: count,
    cpuPercent: z.number().describe("CPU in use by everything on the host, 0 to 100."),
    memoryPercent: z.number(),
    memoryAvailableBytes: z.number(),
    disk: hostDisk.optional().describe("Absent where the file system does not tell."),
    capacity: resources.describe("What tasks may hold in all."),
    reserved: resources.describe("What they hold now."),
    reservedByDoor: z
      .record(z.enum(DOOR_NAMES), resources)
      .describe("The same by the door whose calls first needed it."),
    gpuModel: z.string().describe("The models of all cards, each once."),
    gpus: z.array(gpu),
    gpuTrouble: z.string().optional().describe("Why there are no cards, or why they cannot be read."),
    running: count.describe("Calls that run."),
    waiting: count.describe("Calls that wait."),
    sandboxes: count.describe("Of calls; those of jobs are not among them."),
    takesJobs: z
      .boolean()
      .describe("Whether it takes jobs from a queue: then `/v1/queue` and `/v1/fleet` know of it."),
    jobs: z.object({
      running: count.describe("Jobs whose command runs, or whose files are collected."),
      waiting: count.describe("Jobs that wait for room, or for the end of a pause."),
    }),
  }),
);
export type Host = z.infer<typeof host>;

export const controlled = named(
  "Controlled",
  "The state after a control action.",
  z.object({
    state: executorState,
    running: count.describe("Calls that still run."),
  }),
);
export type Controlled = z.infer<typeof controlled>;

/** The legacy statistics; also at `/stats`. Units are the contract's own. */
export const stats = named(
  "Stats",
  "The eleven figures of the MECAnywhere contract.",
  z.object({
    total_cpu: z.number().describe("Cores of the host."),
    total_mem: z.number().describe("MB of the host."),
    used_cpu: z.number().describe("Percent."),
    used_mem: z.number().describe("Percent."),
    task_cpu: z.number().describe("Cores given to tasks."),
    task_mem: z.number().describe("MB given to tasks."),
    task_used_cpu: z.number().describe("Percent of task_cpu reserved."),
    task_used_mem: z.number().describe("Percent of task_mem reserved."),
    gpu_model: z.string(),
    task_gpu: z.number().describe("GPUs given to tasks."),
    task_used_gpu: z.number().describe("GPUs in use."),
  }),
);
export type Stats = z.infer<typeof stats>;
