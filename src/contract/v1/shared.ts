import * as z from "zod";
import { DEFAULT_RESOURCES, ISOLATION_CLASSES, MEBIBYTE, NETWORK_POLICIES } from "../../core/index.ts";
import { named } from "./registry.ts";

/** A whole number that is not negative; the bound keeps `Number.MAX_SAFE_INTEGER` out of the description. */
export const count = z.number().int().min(0).max(1e15);

/** File systems that are mounted over a network may be as large as they like. */
export const diskBytes = z.number().min(0);

export const resources = named(
  "Resources",
  "What is given or held in all.",
  z.object({
    cpuMillis: count.describe("CPU in thousandths of a core."),
    memoryBytes: count.describe("Memory in bytes."),
    gpuCount: count.describe("GPUs in cards; one that several share counts once."),
  }),
);

export const taskResources = named(
  "TaskResources",
  "What one sandbox may use at most.",
  z.object({
    ...resources.shape,
    gpuMemoryBytes: count.describe("Memory of each of its cards, in bytes; 0 is whole cards."),
  }),
);

export const phases = named(
  "StartPhases",
  "Where the time of a start went.",
  z.object({
    createMs: z.number(),
    startMs: z.number(),
    readyMs: z.number(),
  }),
);

/** Of a worker, beside its image, which may be that of many others. */
export const serves = z
  .string()
  .optional()
  .describe(
    "What a worker serves, as its door calls it: a function as `namespace:application:function:version`. Absent of jobs, and of workers that their image tells apart.",
  );

export const isolation = z.enum(ISOLATION_CLASSES);

/** The wish of a request: a class is a floor, `default` the driver's own. */
export const isolationWish = z
  .enum(["default", ...ISOLATION_CLASSES])
  .describe("The isolation wanted at least; `default` is the driver's own.");

/** What a task may reach at most; `default` stands for the operator's setting. */
export const networkWish = z
  .enum(["default", ...NETWORK_POLICIES])
  .describe("What the task may reach; `default` is the host's own setting.");

/** Cores, as the contract counts them: one decimal. */
export const cpu = z
  .number()
  .min(0.1)
  .max(10_000)
  .refine((cores) => Number.isInteger(Math.round(cores * 1e6) / 1e5), "must have at most one decimal")
  .describe(`Cores, with at most one decimal. Default ${DEFAULT_RESOURCES.cpuMillis / 1000}.`);

export const mem = z
  .number()
  .int()
  .min(6)
  .max(100_000_000)
  .describe(`Memory in MB (2^20 bytes). Default ${DEFAULT_RESOURCES.memoryBytes / MEBIBYTE}.`);

export const gpus = z.number().int().min(0).max(1024).describe("GPUs, in cards.");

export const gpuMemory = z
  .number()
  .int()
  .min(0)
  .max(100_000_000)
  .describe(
    "Memory wanted of each card, in MB (2^20 bytes): a share of the card where the host's operator allows that, else the whole card. 0 (the default) is whole cards.",
  );

export const image = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[\x21-\x7e]+$/, "must be printable ASCII without spaces")
  .describe("An image reference, or the id of a task folder with the `process` driver.");

export const timeoutMs = z.number().int().min(1).max(86_400_000);

/** `/` and further printable characters; it is written into the request line to the task as it stands. */
export const taskPath = z
  .string()
  .max(2048)
  .regex(/^\/[\x21-\x7e]*$/, "must begin with / and be printable ASCII without spaces")
  .describe("The path at the task's server. Default `/`.");

export const idText = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Za-z0-9_-]+$/);

/** What of a JSON body says which task is meant, besides its image. */
export const taskBody = {
  cpu: cpu.optional(),
  mem: mem.optional(),
  gpus: gpus.optional(),
  gpuMemory: gpuMemory.optional(),
  isolation: isolationWish.default("default"),
  network: networkWish.default("default"),
  sgx: z.boolean().default(false),
};
