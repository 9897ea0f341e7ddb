import * as z from "zod";
import { Secret } from "../core/index.ts";

/** What a person needs to know about one setting; everything else follows from its key. */
export interface About {
  readonly about: string;
  readonly unit?: string;
  /** Whether it may change while the daemon runs. */
  readonly isLive?: boolean;
  /** Said instead of the default where that depends on the host. */
  readonly defaultText?: string;
  /** Names of the environment that other programs share with us; weaker than our own. */
  readonly otherEnv?: readonly string[];
  /** What it means when one of those is set to nothing; otherwise that counts as not set. */
  readonly emptyMeans?: string;
  /** A path: relative ones in a file start at the file's folder, others at the working directory. */
  readonly isPath?: boolean;
}

export type LeafKind = "whole" | "number" | "switch" | "choice" | "text" | "secret" | "list" | "records";

export interface LeafFacts extends About {
  readonly kind: LeafKind;
  /** What a right value looks like, as the rest of a sentence that begins with "expected". */
  readonly expects: string;
  readonly choices?: readonly string[];
}

/** The facts of every leaf, by its schema. */
export const leaves = z.registry<LeafFacts>();
/** One sentence for every section, by its schema. */
export const sections = z.registry<{ readonly about: string }>();

interface Range {
  readonly min: number;
  readonly max: number;
  readonly default: number;
}

export function whole({ min, max, default: value, ...about }: Range & About) {
  const expects = `a whole number from ${min} to ${max}`;
  return z
    .number()
    .int()
    .min(min)
    .max(max)
    .default(value)
    .register(leaves, { kind: "whole", expects, ...about });
}

/** A number that may have a fraction and is above 0, or from 0 on with `isZeroAllowed`. */
export function number({ max, default: value, isZeroAllowed = false, ...about }: NumberRange & About) {
  const expects = `a number ${isZeroAllowed ? "from 0" : "above 0"} up to ${max}`;
  const schema = isZeroAllowed ? z.number().min(0) : z.number().positive();
  return schema
    .max(max)
    .default(value)
    .register(leaves, { kind: "number", expects, ...about });
}

interface NumberRange extends Omit<Range, "min"> {
  readonly isZeroAllowed?: boolean;
}

/** Seconds, with a fraction if wished. */
export function seconds(value: number, about: About, range: { max?: number; isZeroAllowed?: boolean } = {}) {
  return number({ max: range.max ?? 86_400, ...range, default: value, unit: "seconds", ...about });
}

export function toggle(value: boolean, about: About) {
  return z
    .boolean()
    .default(value)
    .register(leaves, { kind: "switch", expects: "true or false", ...about });
}

export function choice<const C extends readonly [string, ...string[]]>(
  choices: C,
  value: NoInfer<C[number]>,
  about: About,
) {
  const schema: z.ZodType<C[number], C[number]> = z.enum(choices);
  return schema
    .default(value)
    .register(leaves, { kind: "choice", expects: `one of ${choices.join(", ")}`, choices, ...about });
}

/** A text without control characters. `shape` narrows it further and says how in `expects`. */
export function text(
  value: string,
  about: About,
  shape?: { pattern: RegExp; expects: string; isRight?: (value: string) => boolean },
) {
  const plain = z
    .string()
    .max(4096)
    .regex(/^\P{Cc}*$/u);
  const shaped = shape === undefined ? plain : plain.regex(shape.pattern);
  const schema = shape?.isRight === undefined ? shaped : shaped.refine(shape.isRight);
  return schema
    .default(value)
    .register(leaves, { kind: "text", expects: shape?.expects ?? "a text", ...about });
}

/** A text that nothing prints. Empty means that there is none. */
export function secret(about: About) {
  return z
    .string()
    .max(4096)
    .default("")
    .transform((value) => new Secret(value))
    .register(leaves, { kind: "secret", expects: "a text", ...about });
}

/** What a list expects that takes any text. */
export const LIST_OF_TEXTS = "a list of texts";

/** A list of texts. `shape` narrows each of them and says how in `expects`. */
export function list(
  value: readonly string[],
  about: About,
  shape: ListShape = { isRight: () => true, expects: LIST_OF_TEXTS },
) {
  const entry = z
    .string()
    .min(1)
    .max(4096)
    .regex(/^\P{Cc}*$/u)
    .refine(shape.isRight);
  return z
    .array(shape.takesNumbers === true ? z.preprocess(numberAsText, entry) : entry)
    .max(1000)
    .default([...value])
    .register(leaves, { kind: "list", expects: shape.expects, ...about });
}

interface ListShape {
  readonly isRight: (entry: string) => boolean;
  readonly expects: string;
  /** Whether an entry may be written as a number, which is what YAML makes of `[0, 1]`. */
  readonly takesNumbers?: boolean;
}

function numberAsText(value: unknown): unknown {
  return typeof value === "number" ? String(value) : value;
}

/** A list of small objects; only a file can hold it. */
export function records<S extends z.ZodType>(item: S, about: About & { readonly expects: string }) {
  return z
    .array(item)
    .max(1000)
    .default([])
    .register(leaves, { kind: "records", ...about });
}

/** A group of settings. Unknown keys in it are faults. */
export function section<S extends z.ZodRawShape>(about: string, shape: S) {
  // `prefault`, so that the defaults of the leaves are filled in where the whole section is left out.
  const schema = z.strictObject(shape);
  return schema.prefault({} as z.input<typeof schema>).register(sections, { about });
}
