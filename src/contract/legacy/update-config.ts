import * as z from "zod";

/**
 * The body of the legacy `POST /update-config`. `type` and anything else that is not here is ignored (`contracts/meca.md`
 * section 2); `has_gpu` comes as a number from some clients. What is left out keeps its value.
 */
export const updateConfigBody = z.object({
  timeout: z.number().int().min(1).max(525_600).optional(),
  cpu: z.number().positive().max(4096).optional(),
  mem: z.number().int().positive().max(1e9).optional(),
  has_gpu: z
    .union([z.boolean(), z.number().int().min(0)])
    .transform((value) => value === true || (typeof value === "number" && value > 0))
    .optional(),
  microVM_runtime: z
    .string()
    .max(128)
    .regex(/^[A-Za-z0-9._-]*$/, "must be the name of a runtime, or nothing")
    .optional(),
});
