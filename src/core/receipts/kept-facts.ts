import type { ErrorFacts } from "../errors.ts";
import { ExecutorError } from "../errors.ts";

/** Of the text of all. */
const MOST_CHARACTERS = 512;
/** They have fields of their own, or are what a task printed or was given. */
const LEFT_OUT: ReadonlySet<string> = new Set(["exitCode", "signal", "logTail", "entry"]);

/**
 * What an attempt failed with besides its code (what was asked, what the limit is), as an entry keeps it: as JSON text, for the
 * canonical spelling has no fractions. What would make it longer than its bound is left out.
 *
 * @returns `undefined` where nothing is to be kept.
 */
export function keptFacts(error: unknown): string | undefined {
  if (!(error instanceof ExecutorError) || error.code === "INTERNAL") return undefined;
  let text = "";
  for (const [name, value] of Object.entries(error.facts)) {
    if (value === undefined || LEFT_OUT.has(name)) continue;
    const more = `${text === "" ? "" : ","}${JSON.stringify(name)}:${JSON.stringify(value)}`;
    if (text.length + more.length + 2 <= MOST_CHARACTERS) text += more;
  }
  return text === "" ? undefined : `{${text}}`;
}

/** What {@link keptFacts} wrote; nothing for what it cannot have written. */
export function readFacts(text: string | undefined): ErrorFacts {
  if (text === undefined) return {};
  try {
    const read: unknown = JSON.parse(text);
    if (typeof read !== "object" || read === null) return {};
    return Object.fromEntries(Object.entries(read).filter((pair): pair is [string, Fact] => isFact(pair[1])));
  } catch {
    return {};
  }
}

type Fact = Exclude<ErrorFacts[string], undefined>;

function isFact(value: unknown): value is Fact {
  if (Array.isArray(value)) return value.every((one) => typeof one === "string");
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}
