import * as z from "zod";
import { named } from "./registry.ts";

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
export const configValue = z.union([scalar, z.array(scalar)]);

export const configEntry = named(
  "ConfigEntry",
  "One setting.",
  z.object({
    key: z.string().describe("As in the file; a dot goes into a section."),
    value: configValue.describe("Secrets show as `[redacted]`."),
    origin: z.string().describe("Where it comes from: default, file, environment, flag or api."),
    unit: z.string().optional(),
    description: z.string(),
    isLive: z.boolean().describe("Whether it can be changed while the daemon runs."),
  }),
);
export type ConfigEntry = z.infer<typeof configEntry>;

export const config = named("Config", "All settings in force.", z.object({ settings: z.array(configEntry) }));
export type Config = z.infer<typeof config>;

export const configPatch = named(
  "ConfigPatch",
  "Settings to change, nested as in the file or with dotted keys. All are applied, or none.",
  z.record(z.string(), z.unknown()),
);
export type ConfigPatch = z.infer<typeof configPatch>;

export const configChanged = named(
  "ConfigChanged",
  "The settings in force after a change.",
  z.object({
    ...config.shape,
    notes: z.array(z.string()).describe("What was taken differently from how it was asked."),
  }),
);
export type ConfigChanged = z.infer<typeof configChanged>;
