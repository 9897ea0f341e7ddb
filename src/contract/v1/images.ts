import * as z from "zod";
import { problem } from "./problem.ts";
import { named } from "./registry.ts";
import { count, image } from "./shared.ts";

export const prefetchRequest = named("PrefetchRequest", "An image to fetch.", z.object({ image }));

export const prefetched = named(
  "Prefetched",
  "What a prefetch came to.",
  z.object({
    digest: z.string(),
    wasPulled: z.boolean(),
    retired: count.describe("Warm sandboxes of an older content that take no more calls."),
  }),
);
export type Prefetched = z.infer<typeof prefetched>;

export const prefetchEvent = named(
  "PrefetchEvent",
  "One line of a prefetch's story; the last one is `done` or `failed`.",
  z.discriminatedUnion("type", [
    z.object({
      type: z.literal("pulling"),
      image: z.string(),
      doneBytes: z.number(),
      totalBytes: z.number(),
    }),
    z.object({ type: z.literal("done"), ...prefetched.shape }),
    z.object({ type: z.literal("failed"), problem }),
  ]),
);
export type PrefetchEvent = z.infer<typeof prefetchEvent>;

export const taskFolder = named(
  "TaskFolder",
  "A task that the process driver can run.",
  z.object({
    id: z.string(),
    folder: z.string(),
    command: z.array(z.string()),
    problem: z.string().optional().describe("Why it cannot be run, if it cannot."),
  }),
);
export type TaskFolder = z.infer<typeof taskFolder>;

export const taskList = named("TaskList", "All task folders.", z.object({ tasks: z.array(taskFolder) }));
export type TaskList = z.infer<typeof taskList>;
