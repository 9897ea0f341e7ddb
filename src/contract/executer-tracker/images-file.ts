import * as z from "zod";
import { ISOLATION_CLASSES, isSafeSegment, NETWORK_POLICIES } from "../../core/index.ts";

const LARGEST_MB = 64 * 1024 * 1024;

const imageName = z
  .string("must be an image's name")
  .regex(/^[\x21-\x7e]{1,512}$/, "must be an image's name: printable ASCII without spaces");

/** What an executer type may say of its jobs, beside the `image` and `gpu` of the original. */
const typeSchema = z.strictObject({
  image: imageName,
  gpu: z
    .union([z.boolean(), z.int().min(0).max(1024)], "must be true, false or a number of cards")
    .default(false)
    .describe("`true`: every card that this host gives to tasks; a number: that many."),
  gpu_memory: z.int().min(0).max(LARGEST_MB).optional().describe("MB of each card; absent is whole cards."),
  cpus: z.number().positive().max(4096).optional().describe("Cores."),
  memory: z.int().min(6).max(LARGEST_MB).optional().describe("MB."),
  disk: z.int().min(1).max(LARGEST_MB).optional().describe("MB that its work folder may take."),
  pids: z.int().min(1).max(4_194_304).optional().describe("Processes and threads."),
  network: z.enum(NETWORK_POLICIES).optional(),
  isolation: z.enum(["default", ...ISOLATION_CLASSES]).optional(),
  user: z
    .string()
    .regex(
      /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,31})?$/,
      "must be user or user:group",
    )
    .optional(),
  env: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "must be a variable's name"),
      z
        .string()
        .max(4096)
        .refine((value) => !value.includes("\0"), "must not hold a NUL character"),
    )
    .refine((env) => Object.keys(env).length <= 128, "must hold at most 128 variables")
    .default({}),
  time_limit_s: z.number().positive().max(31_536_000).optional().describe("The longest that a job may run."),
});

/** One executer type: its image and what its jobs get. */
export type ExecuterType = Readonly<z.output<typeof typeSchema>>;
/** Executer types by name, as the file lists them. */
export type ImagesFile = ReadonlyMap<string, ExecuterType>;

export type ParsedImagesFile =
  | { readonly isValid: true; readonly types: ImagesFile }
  | { readonly isValid: false; readonly faults: readonly string[] };

/** Reads the text of an images file in either form (section 2.3); every fault names the key that it is about. */
export function parseImagesFile(source: string): ParsedImagesFile {
  let json: unknown;
  try {
    json = JSON.parse(source);
  } catch (error) {
    return refuse([`it is not JSON: ${(error as Error).message}`]);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return refuse(["it must be an object: executer type to image"]);
  }
  const rows = Object.entries(json);
  if (rows.length === 0) return refuse(["it names no executer type"]);
  const types = new Map<string, ExecuterType>();
  const faults = rows.flatMap(([name, value]) => {
    if (!isSafeSegment(name))
      return [`${name}: an executer type is letters, digits, dots, underscores and hyphens`];
    const parsed = typeSchema.safeParse(typeof value === "string" ? { image: value } : value);
    if (parsed.success) types.set(name, parsed.data);
    return parsed.error?.issues.map((issue) => `${[name, ...issue.path].join(".")}: ${issue.message}`) ?? [];
  });
  return faults.length === 0 ? { isValid: true, types } : refuse(faults);
}

function refuse(faults: readonly string[]): ParsedImagesFile {
  return { isValid: false, faults };
}
