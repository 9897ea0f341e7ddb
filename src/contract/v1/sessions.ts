import * as z from "zod";
import { named } from "./registry.ts";
import { count } from "./shared.ts";

const ID = /^[A-Za-z0-9_-]{1,64}$/;

export const sessionId = z.string().regex(ID, "must be a session's id");

/** What a call has to do with sessions. */
export const sessionWish = z
  .string()
  .regex(ID, "must be `new` or a session's id")
  .describe(
    "`new`: the server that answers is kept for a session, whose id comes in `Hearth-Session`. An id: run on that session's server and on no other; the task may then be left out.",
  );

export const sessionParams = z.object({ sessionId });

const summary = {
  sandboxId: z.string(),
  image: z.string(),
  sgx: z.boolean(),
  calls: count.describe("Calls of it that wait or run now."),
  ageMs: z.number(),
  expiresInMs: z.number().describe("Until it ends if no call comes."),
};

export const session = named(
  "Session",
  "A claim to meet the very same server again. Whoever has its id may use it.",
  z.object({ id: z.string(), ...summary }),
);
export type Session = z.infer<typeof session>;

export const sessionList = named(
  "SessionList",
  "What keeps sandboxes from others, the oldest first.",
  z.object({
    sessions: z.array(
      z.object({
        ref: z
          .string()
          .optional()
          .describe("The beginning of its id; the whole id is its owner's alone. Absent for a hold."),
        isHold: z
          .boolean()
          .describe("Whether it is for every caller of the task, as after an attestation without a session."),
        ...summary,
      }),
    ),
  }),
);
export type SessionList = z.infer<typeof sessionList>;

export const attestation = named(
  "Attestation",
  "What a server says of itself, and the session in which it is met again.",
  z.object({
    session,
    evidence: z.object({
      contentType: z.string().optional(),
      base64: z.string().describe("Its bytes as they came, in base64, since they may be anything."),
    }),
  }),
);
export type Attestation = z.infer<typeof attestation>;
