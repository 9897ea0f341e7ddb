import { ExecutorError, Secret } from "../core/index.ts";

const REDACTED = "[redacted]";
const LONGEST_TEXT = 4096;
const DEEPEST = 6;
const MOST_ITEMS = 64;

/** Names whose values are secrets whatever they hold. */
const SECRET_NAME = /token|secret|password|passwd|authorization|cookie|credential|api_?key|private_?key/i;

/** What a log line may carry of any value: bounded in depth, number and length, and without secrets. */
export function printable(value: unknown, depth = 0): unknown {
  switch (typeof value) {
    case "string":
      return text(value);
    case "number":
      // Nanoseconds of a duration tell nobody anything.
      return Math.round(value * 1000) / 1000;
    case "boolean":
      return value;
    case "bigint":
      return value.toString();
    case "object":
      return value === null ? null : printableObject(value, depth);
    default:
      return undefined;
  }
}

function printableObject(value: object, depth: number): unknown {
  if (value instanceof Secret) return REDACTED;
  if (value instanceof Error) return describeError(value, depth);
  if (value instanceof Date) return value.toISOString();
  if (depth >= DEEPEST) return "[deep]";
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value) || value instanceof Set) {
    return [...value].slice(0, MOST_ITEMS).map((item: unknown) => printable(item, depth + 1));
  }
  const entries = value instanceof Map ? (Object.fromEntries(value) as object) : value;
  return printableFields(entries as Record<string, unknown>, depth + 1);
}

/** The same for the fields of one line. */
export function printableFields(
  fields: Readonly<Record<string, unknown>>,
  depth = 0,
): Record<string, unknown> {
  const printed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields).slice(0, MOST_ITEMS)) {
    printed[name] = SECRET_NAME.test(name) && typeof value !== "boolean" ? REDACTED : printable(value, depth);
  }
  return printed;
}

/** What any of the things that are masked has in it: nearly every text has none, and is looked at once. */
const SUSPECT = /bearer|basic|:\/\//i;

/** Masks what a text may carry by accident: bearer tokens, and the user and query parts of addresses. */
export function text(value: string): string {
  const cut = value.length > LONGEST_TEXT ? `${value.slice(0, LONGEST_TEXT)}… [cut]` : value;
  if (!SUSPECT.test(cut)) return cut;
  return cut
    .replace(/\b(bearer|basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${REDACTED}`)
    .replace(/([a-z][a-z0-9+.-]{0,15}:\/\/)[^\s/@]+@/gi, `$1${REDACTED}@`)
    .replace(/([a-z][a-z0-9+.-]{0,15}:\/\/[^\s?#]+)\?[^\s"'#]+/gi, `$1?${REDACTED}`);
}

function describeError(error: Error, depth: number): Record<string, unknown> {
  const described: Record<string, unknown> = { message: text(error.message) };
  if (error instanceof ExecutorError) {
    described["code"] = error.code;
    described["facts"] = printableFields(error.facts, depth + 1);
    // A stack shows where we noticed; only for our own defects does that help.
    if (error.spec.kind === "internal") described["stack"] = text(error.stack ?? "");
  } else {
    described["name"] = error.name;
    described["stack"] = text(error.stack ?? "");
  }
  if (error.cause !== undefined && depth < DEEPEST) described["cause"] = printable(error.cause, depth + 1);
  return described;
}
