import * as z from "zod";
import { problem } from "./problem.ts";
import { named } from "./registry.ts";
import { count, image, taskBody } from "./shared.ts";

/** A task, in the words of a call. */
export const explainWish = named(
  "ExplainWish",
  "The task that a call would be for.",
  z.strictObject({
    image,
    ...taskBody,
  }),
);

const sandboxes = z.array(z.object({ sandboxId: z.string(), image: z.string() }));

const room = {
  reason: z.string().describe("The verdict as a sentence."),
  freeze: sandboxes.describe("Idle sandboxes that would give their CPU back and stay warm."),
  evict: sandboxes.describe("Idle sandboxes that would be removed."),
};

export const verdict = named(
  "Verdict",
  "What would become of a call if it came now. `warm`: a free slot; `starts`, `wakes`: there is room, after those named have made it; `waits`: not yet; `refused`: never, or not before something else changes, see `problem`. A name that no image can have, or no task folder has, is refused; whether a registry has an image is only found out by a start.",
  z.discriminatedUnion("type", [
    z.object({ type: z.literal("warm"), reason: z.string(), sandboxId: z.string() }),
    z.object({
      type: z.literal("starts"),
      ...room,
      gpuIds: z.array(z.string()).describe("The cards that it would get."),
    }),
    z.object({ type: z.literal("wakes"), ...room, sandboxId: z.string() }),
    z.object({
      type: z.literal("waits"),
      reason: z.string().describe("Why it would not run yet, as a sentence."),
      callersAhead: count.describe("Callers of the same task that wait already."),
      demandsAhead: count.describe("Wishes for room, of all tasks, that wait already."),
      busy: sandboxes.describe("Sandboxes at work that hold room."),
      expectedMs: count
        .optional()
        .describe("About how long, told from how long calls usually take; left out when nobody can tell."),
    }),
    z.object({ type: z.literal("refused"), reason: z.string(), problem }),
  ]),
);
export type Verdict = z.infer<typeof verdict>;
export type ExplainWish = z.input<typeof explainWish>;
