import * as z from "zod";
import { problem } from "./problem.ts";
import { door, receiptEntry } from "./receipts.ts";
import { named } from "./registry.ts";
import { sessionId, sessionWish } from "./sessions.ts";
import {
  count,
  cpu,
  gpuMemory,
  gpus,
  image,
  isolation,
  isolationWish,
  mem,
  networkWish,
  phases,
  taskBody,
  taskPath,
  timeoutMs,
} from "./shared.ts";

/** A number in a query parameter; an empty one is not 0. */
const inQuery = (schema: z.ZodType<number>) =>
  z
    .string()
    .regex(/^-?\d+(\.\d+)?$/, "must be a number")
    .transform(Number)
    .pipe(schema as z.ZodType<number, number>);

const sgx = z.stringbool().describe("Run with the SGX device and the AESM socket.");

const NEEDS_IMAGE = { path: ["image"], message: "must be given, except in a session" };

/** A session knows its own task. */
function namesItsTask({
  image: name,
  session,
}: {
  readonly image?: string | undefined;
  readonly session?: string | undefined;
}): boolean {
  return name !== undefined || (session !== undefined && session !== "new");
}

/** What a call is for, as query parameters: the body is the task's input and nothing else. A misspelt one is refused: it may be a floor. */
const taskQuery = {
  cpu: inQuery(cpu).optional(),
  mem: inQuery(mem).optional(),
  gpus: inQuery(gpus).optional(),
  gpuMemory: inQuery(gpuMemory).optional(),
  isolation: isolationWish.default("default"),
  network: networkWish.default("default"),
};

export const callQuery = z
  .strictObject({
    image: image.optional(),
    ...taskQuery,
    sgx: sgx.default(false),
    session: sessionWish.optional(),
    path: taskPath.optional(),
    queueTimeoutMs: inQuery(timeoutMs).optional().describe("Wait for room at most this long."),
    runTimeoutMs: inQuery(timeoutMs).optional().describe("Wait for the answer at most this long."),
  })
  .refine(namesItsTask, NEEDS_IMAGE);
export type CallQuery = z.output<typeof callQuery>;

/** Whose evidence is wanted: a task, in the words of a call. */
export const attestQuery = z.strictObject({
  image,
  ...taskQuery,
  sgx: sgx
    .default(true)
    .describe("`false`: a task that only acts like one, in a plain sandbox; to try things out."),
  path: taskPath.optional().describe("The path of the evidence at the task's server. Default `/ra`."),
  queueTimeoutMs: inQuery(timeoutMs).optional().describe("Wait for room at most this long."),
  runTimeoutMs: inQuery(timeoutMs).optional().describe("Wait for the answer at most this long."),
});

/** The same as one JSON body, for callers that cannot send raw input. */
export const newRun = named(
  "NewRun",
  "A call to be run without waiting for its answer.",
  z
    .strictObject({
      image: image.optional(),
      ...taskBody,
      session: sessionId
        .optional()
        .describe("Run on this session's server and on no other; the task may then be left out."),
      path: taskPath.optional(),
      queueTimeoutMs: timeoutMs.optional(),
      runTimeoutMs: timeoutMs.optional(),
      input: z
        .unknown()
        .optional()
        .describe("The task's input: a string is sent as it stands, anything else as JSON text."),
      contentType: z
        .string()
        .max(256)
        .regex(/^[\x21-\x7e][\x20-\x7e]*$/)
        .default("application/json"),
    })
    .refine(namesItsTask, NEEDS_IMAGE),
);

export const placement = named(
  "Placement",
  "Where a call ran.",
  z.object({
    sandboxId: z.string(),
    isolation,
    imageDigest: z.string(),
    start: z.enum(["warm", "thawed", "cold"]).describe("What the call had to wait for."),
    waitedMs: z.number().describe("From the call to its slot."),
    phases: phases
      .optional()
      .describe("How its sandbox once started, whoever waited for it; kept of recorded calls only."),
    warnings: z.array(z.string()),
  }),
);
export type Placement = z.infer<typeof placement>;

export const progress = named(
  "Progress",
  "What a call waits for.",
  z.discriminatedUnion("type", [
    z.object({ type: z.literal("waiting"), reason: z.string() }),
    z.object({
      type: z.literal("pulling"),
      image: z.string(),
      doneBytes: z.number(),
      totalBytes: z.number().describe("Of all layers known so far; it grows."),
    }),
    z.object({ type: z.literal("starting") }),
    z.object({ type: z.literal("running") }),
  ]),
);
export type Progress = z.infer<typeof progress>;

export const runState = z.enum(["running", "answered", "failed", "cancelled", "lost"]);

export const run = named(
  "Run",
  "One attempt to run a task, whichever way it came in. `answered`: the task answered, whatever status it chose; `failed`: it did not, see `problem`; `lost`: this host ended while it ran. A call that asked to be recorded is there from its beginning, and its answer can be fetched; any other once it has ended.",
  z.object({
    id: z.string(),
    state: runState,
    door,
    image: z.string(),
    createdAt: z.string().describe("RFC 3339."),
    endedAt: z.string().optional(),
    progress: progress.optional().describe("While it runs."),
    placement: placement.optional(),
    answer: z
      .object({
        status: z.number().int().min(200).max(599),
        isSuccess: z.boolean(),
        contentType: z.string().optional(),
        bytes: count,
        isKept: z.boolean().describe("Whether it was small enough to be kept."),
      })
      .optional(),
    problem: problem.optional(),
    receipt: receiptEntry
      .optional()
      .describe("What the signed chain says of it, some tenths of a second after its end."),
  }),
);
export type Run = z.infer<typeof run>;

export const runList = named(
  "RunList",
  "Runs: first those that have not ended, newest first; then the others, the last ended first.",
  z.object({
    runs: z.array(run),
    next: z.string().optional().describe("Names the next page, if there may be one; see `after`."),
  }),
);
export type RunList = z.infer<typeof runList>;

/** A job's runs are called after it: its id, then `~` and the attempt. */
const runId = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[A-Za-z0-9_-][A-Za-z0-9._~-]*$/);

export const runParams = z.object({ runId });

const time = (about: string) => z.iso.datetime({ offset: true }).optional().describe(`${about} RFC 3339.`);

/** A misspelt filter must not look like one that everything passes. */
export const runListQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  after: z.string().min(1).max(256).optional().describe("`next` of the page before."),
  door: door.optional(),
  image: image.optional().describe("The image as it was asked for, or the digest of its content."),
  isolation: isolation.optional().describe("The class reached."),
  outcome: z
    .string()
    .regex(/^(?:running|answered|failed|cancelled|lost|[A-Z][A-Z_]{2,63}|[1-5][0-9]{2})$/, {
      message: "must be a state, an error code or a status of the task's answer",
    })
    .optional()
    .describe("A state of the run, an error code (`RUN_TIMEOUT`) or a status (`404`)."),
  since: time("Accepted at that time or later."),
  until: time("Accepted before that time."),
});
export type RunListQuery = z.output<typeof runListQuery>;
export type RunListInput = z.input<typeof runListQuery>;

/** Headers that every route which starts a call understands. */
export const idempotencyKey = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[\x21-\x7e]+$/, "must be printable ASCII without spaces");
