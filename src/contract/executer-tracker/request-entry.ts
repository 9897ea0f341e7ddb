import * as z from "zod";
import { isSafeKey, isSafeSegment } from "../../core/index.ts";

/** The longest that an entry may ask its job to live; what its type or the host's setting says may be less. */
const LONGEST_LIFE_S = 365 * 86_400;

const text = (what: string) => z.string(`the entry has no ${what}`).min(1, `the entry has no ${what}`);

/** The fields of an entry of a request stream (section 4.1), with the one that later versions added and that we keep. */
const schema = z.object({
  id: text("id").refine(
    isSafeSegment,
    "id is not up to 128 letters, digits, dots, underscores and hyphens that begin with a letter or digit, without two dots in a row",
  ),
  task_dir: text("task_dir").refine(isSafeKey, "task_dir is not a relative path of plain names"),
  executer_type: text("executer_type").max(256, "executer_type is too long"),
  method: text("method").max(256, "method is too long"),
  time_to_live_seconds: z
    .string()
    .regex(/^\d{1,9}(\.\d{1,6})?$/, "time_to_live_seconds is not a number of seconds")
    .transform(Number)
    .refine((seconds) => seconds > 0 && seconds <= LONGEST_LIFE_S, "time_to_live_seconds is out of range")
    .optional(),
});

export type RequestEntry = Readonly<z.output<typeof schema>>;

/**
 * `nameless`: nobody can be told of this one by the id of its task. `faulty`: its task fails, with an empty result where its own
 * field says, unless that is what is wrong.
 */
export type EntryReading =
  | { readonly type: "request"; readonly request: RequestEntry }
  | { readonly type: "faulty"; readonly reason: string; readonly taskDir: string | undefined }
  | { readonly type: "nameless"; readonly reason: string };

/** Reads the fields of an entry; unknown ones are passed over. Every text in it is a stranger's. */
export function readRequestEntry(fields: Readonly<Record<string, string>>): EntryReading {
  const result = schema.safeParse(fields);
  if (result.success) return { type: "request", request: result.data };
  const isNameless = result.error.issues.some(({ path }) => path[0] === "id");
  const reason = [...new Set(result.error.issues.map(({ message }) => message))].join("; ");
  if (isNameless) return { type: "nameless", reason };
  return { type: "faulty", reason, taskDir: schema.shape.task_dir.safeParse(fields["task_dir"]).data };
}

/** The same as it is written to a stream. */
export function writeRequestEntry(request: RequestEntry): Record<string, string> {
  const { time_to_live_seconds: life, ...fields } = request;
  return life === undefined ? fields : { ...fields, time_to_live_seconds: String(life) };
}
