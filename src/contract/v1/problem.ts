import * as z from "zod";
import type { ErrorCode } from "../../core/index.ts";
import { ERRORS } from "../../core/index.ts";
import { named } from "./registry.ts";

const codes = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]];

export const problem = named(
  "Problem",
  "An error of ours (RFC 9457). Branch on `code`; texts may change.",
  z.object({
    type: z.string(),
    code: z.enum(codes),
    status: z.number().int().min(400).max(599),
    title: z.string().describe("The same for every error of this code."),
    detail: z.string().describe("What happened this time, for a person."),
    retry: z.enum(["never", "later"]).describe("Whether the same request may succeed if sent again."),
    fault: z.enum(["caller", "task", "host"]).describe("Who has to act."),
    requestId: z.string(),
    facts: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]))
      .describe("Facts about this error, such as `field`, `image` or `logTail`."),
  }),
);
