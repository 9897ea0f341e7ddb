import * as z from "zod";
import { ATTEMPT_DOORS, CALL_ENDS, READINGS } from "../../core/index.ts";
import { named } from "./registry.ts";
import { count, isolation } from "./shared.ts";

const us = count.describe("Microseconds.");
/** Until the year 2255. */
const sinceUs = z.number().int().min(0).max(9e15).describe("Microseconds since 1970.");

export const door = z
  .enum(ATTEMPT_DOORS)
  .describe(
    "The way in: the contract's own paths, `/v1`, a job over a stream, an allocation of Indexify or a worker of its functions.",
  );

/** The chain's own words, as they are hashed: times in microseconds, nothing renamed. */
export const receiptEntry = named(
  "ReceiptEntry",
  "One attempt as the chain keeps it. What is left out did not happen or is not known.",
  z.object({
    type: z.literal("attempt"),
    seq: count.describe("Its place in the chain. Attempts stand in the order in which they ended."),
    id: z.string().describe("What the answer's `Hearth-Run-Id` said, or what the door calls it."),
    door,
    image: z.string(),
    digest: z.string().optional().describe("The content that ran."),
    isolationAsked: z.string(),
    isolation: isolation.optional().describe("The class reached."),
    taskKey: z.string(),
    sandbox: z.string().optional(),
    start: z.enum(["warm", "thawed", "cold"]).optional(),
    booked: z
      .object({
        cpuMillis: count,
        memoryBytes: count,
        gpuIds: z.array(z.string()).describe("The cards that its sandbox held, by UUID."),
        gpuMemoryBytes: count.describe("Of each of them; 0 is whole cards."),
        network: z.string(),
      })
      .describe("What it could have."),
    used: z
      .object({
        bytesIn: count,
        bytesOut: count,
        cpuUs: us.optional().describe("CPU time of all processes of its sandbox, in microseconds."),
        memoryPeakBytes: count.optional().describe("The most that its sandbox had held until then."),
        reading: z
          .enum(READINGS)
          .describe(
            "`own`: nobody else was in its sandbox; `shared`: others were, and the use is shared out by time; `none`: the counters could not be read, or nobody can tell whose part is whose.",
          ),
      })
      .describe("What it took."),
    acceptedAtUs: sinceUs,
    wallUs: us.describe("From accepted to ended, in microseconds."),
    phasesUs: z
      .object({
        queued: us.optional(),
        pull: us.optional(),
        create: us.optional(),
        start: us.optional(),
        ready: us.optional(),
        firstByte: us.optional(),
        answer: us.optional(),
      })
      .describe("Where that time went, in this order; they add up to it."),
    outcome: z.enum(CALL_ENDS),
    status: z.number().int().min(100).max(999).optional().describe("Of the task's answer."),
    error: z.string().optional().describe("The code of why it failed."),
    exitCode: z.number().int().min(0).max(255).optional(),
    signal: z.string().optional(),
    facts: z
      .string()
      .max(512)
      .optional()
      .describe("What else it failed with (what was asked, what the limit is): JSON text of one object."),
  }),
);
export type ReceiptEntry = z.infer<typeof receiptEntry>;

const hex = z.string().regex(/^[0-9a-f]{64}$/);

export const receiptKey = named(
  "ReceiptKey",
  "Who signs receipts.",
  z.object({
    algorithm: z.literal("Ed25519"),
    publicKey: z.string().describe("The raw 32 bytes, base64url."),
    chain: z.string().describe("Names the chain: the first half of the SHA-256 of the raw key."),
  }),
);
export type ReceiptKey = z.infer<typeof receiptKey>;

export const receipt = named(
  "Receipt",
  "An attempt with what proves it, without the rest of the chain. `hearth verify` checks it.",
  z.object({
    entry: receiptEntry,
    canonical: z.string().describe("The entry's canonical text: what is signed."),
    checkpoint: z
      .object({ chain: z.string(), first: count, last: count, prev: hex, head: hex, atUs: sinceUs })
      .describe("Of the block that it stands in: its entries, and the hashes before it and at its end."),
    atUs: sinceUs.describe("When this receipt was given out; microseconds since 1970."),
    signature: z.string().describe("Of the entry, the checkpoint and the time; base64url."),
    key: receiptKey,
  }),
);
export type Receipt = z.infer<typeof receipt>;

export const chainRangeQuery = z.strictObject({
  from: z.coerce.number().int().min(1).max(1e15).optional().describe("The first entry wanted, by its `seq`."),
  to: z.coerce.number().int().min(1).max(1e15).optional().describe("The last one."),
});
