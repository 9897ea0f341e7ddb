import * as z from "zod";

/** The file that makes a folder a task. */
export const TASK_FILE = "task.json";

/** A task id: the grammar of an image reference, loosely, so that one id can name the folder and the image built from it. */
export const TASK_ID = /^[A-Za-z0-9_][A-Za-z0-9._-]*(?:[/:@][A-Za-z0-9_][A-Za-z0-9._-]*)*$/;

const text = z
  .string()
  .max(4096)
  .refine((value) => !value.includes("\0"), "must not hold a NUL character");

/**
 * `task.json`: a program that serves `POST /` on `PORT`, or what jobs run, without a container engine. A wrong or unknown member
 * is a fault that names itself: a misspelt one would otherwise be ignored in silence.
 */
export const taskFolderSchema = z.strictObject({
  $schema: z.string().optional(),
  id: z
    .string()
    .max(255)
    .regex(TASK_ID, "must be letters, digits and . _ - in parts joined by / : or @")
    .describe("What callers ask for. `hearth/echo:latest`, `echo:latest` and `echo` are one id."),
  description: z.string().max(1000).optional(),
  mode: z
    .enum(["call", "job"])
    .default("call")
    .describe(
      "`call`: its program serves calls. `job`: it only brings what jobs run, each with a command of its own; it has no `command`.",
    ),
  command: z
    .array(text)
    .max(256)
    .refine((argv) => argv[0] !== "", "must name a program")
    .default([])
    .describe(
      "The program and its arguments; no shell reads it. Paths are relative to the folder. A job's own command takes its place.",
    ),
  resources: z
    .strictObject({
      cpu: z.number().positive().max(1024).optional().describe("Cores."),
      mem: z.int().positive().max(16_777_216).optional().describe("MB."),
    })
    .optional()
    .describe("What it needs to work well. A sandbox that is given less says so in a warning."),
  ready: z
    .enum(["mark", "port"])
    .default("mark")
    .describe("`mark`: ready once it printed `meca-init-done` and its port accepts. `port`: the port alone."),
  env: z
    .record(
      z
        .string()
        .max(128)
        .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be a variable's name")
        .refine((name) => name !== "PORT", "is set by the executor"),
      text,
    )
    .refine((env) => Object.keys(env).length <= 128, "must hold at most 128 variables")
    .default({})
    .describe("Further environment. `PATH`, `HOME`, `LANG` and `PORT` are set by the executor."),
});

export type TaskFolder = z.output<typeof taskFolderSchema>;

export type ParsedTaskFolder =
  | { readonly isValid: true; readonly task: TaskFolder }
  | { readonly isValid: false; readonly faults: readonly string[] };

/** Reads the text of a `task.json`; every fault is a sentence that names its member. */
export function parseTaskFolder(source: string): ParsedTaskFolder {
  let json: unknown;
  try {
    json = JSON.parse(source);
  } catch (error) {
    return { isValid: false, faults: [`it is not JSON: ${(error as Error).message}`] };
  }
  const result = taskFolderSchema.safeParse(json);
  const faults = [...commandFaults(json), ...(result.error?.issues ?? []).map(faultOf)];
  return result.success && faults.length === 0
    ? { isValid: true, task: result.data }
    : { isValid: false, faults };
}

/** Looked for apart: the library asks how members go together only when each of them is right by itself. */
function commandFaults(json: unknown): readonly string[] {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return [];
  const { mode = "call", command = [] } = json as { readonly mode?: unknown; readonly command?: unknown };
  const isEmpty = Array.isArray(command) && command.length === 0;
  if (mode === "call" && isEmpty) return ["command: must name a program"];
  return mode === "job" && !isEmpty
    ? ["command: a folder for jobs has none, since each job brings its own"]
    : [];
}

function faultOf(issue: z.core.$ZodIssue): string {
  const where = issue.path.length === 0 ? "the file" : issue.path.join(".");
  return `${where}: ${issue.message}`;
}
