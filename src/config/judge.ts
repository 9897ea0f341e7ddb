import type * as z from "zod";
import { isAtMost } from "../core/index.ts";
import type { Fault, Origin } from "./fault.ts";
import { nearest, printValue } from "./fault.ts";
import { LIST_OF_TEXTS } from "./leaf.ts";
import type { Config } from "./schema.ts";
import { ConfigSchema } from "./schema.ts";
import { findRow, TABLE } from "./table.ts";

/** Finds the place of a value or key, for the fault about it. */
export type Locate = (path: readonly PropertyKey[], wanted: "key" | "value") => Origin;

export type Judged =
  | { readonly config: Config; readonly faults: readonly [] }
  | { readonly config: undefined; readonly faults: readonly Fault[] };

/** Holds values against the schema, and every rule that binds several of them; names all faults at once. */
export function judge(values: Readonly<Record<string, unknown>>, locate: Locate): Judged {
  const result = ConfigSchema.safeParse(values);
  const faults = result.success
    ? [
        ...sharesAboveWhole(result.data, locate),
        ...runtimesTwice(result.data, locate),
        ...labelsTwice(result.data, locate),
        ...defaultAboveMost(result.data, locate),
      ]
    : result.error.issues.flatMap((issue) => faultsOf(issue, values, locate));
  if (result.success && faults.length === 0) return { config: result.data, faults: [] };
  return { config: undefined, faults };
}

function faultsOf(issue: z.core.$ZodIssue, values: unknown, locate: Locate): Fault[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((name) => unknownKey([...issue.path, name], locate));
  }
  const key = issue.path.join(".");
  const found = valueAt(values, issue.path);
  const row = findRow(key);
  const expected = row === undefined ? expectationInside(issue) : withUnit(row.expects, row.unit);
  const message = `expected ${expected}, found ${row?.kind === "secret" ? "something else" : printValue(found)}`;
  return [{ origin: locate(issue.path, "value"), key, message }];
}

function unknownKey(path: readonly PropertyKey[], locate: Locate): Fault {
  const key = path.join(".");
  const known = [...TABLE.rows, ...TABLE.sections].map((row) => row.key);
  const near = nearest(key, known) ?? known.find((candidate) => candidate.endsWith(`.${key}`));
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  return { origin: locate(path, "key"), key, message: `there is no such setting${hint}` };
}

/** For what lies inside a list, or a section that is no section. */
function expectationInside(issue: z.core.$ZodIssue): string {
  const row = issue.path.map((_, index) => findRow(issue.path.slice(0, index + 1).join("."))).find(Boolean);
  if (row?.expects === LIST_OF_TEXTS) return "a text";
  if (row !== undefined) return row.expects;
  return "a group of keys";
}

function withUnit(expects: string, unit: string | undefined): string {
  return unit === undefined ? expects : `${expects} (${unit})`;
}

function valueAt(values: unknown, path: readonly PropertyKey[]): unknown {
  let value = values;
  for (const key of path) value = value === null ? undefined : (value as Record<PropertyKey, unknown>)[key];
  return value;
}

/** What is guaranteed to the doors together must exist. */
function sharesAboveWhole(config: Config, locate: Locate): Fault[] {
  return (["cpu", "mem"] as const).flatMap((name) => {
    const sum = Object.values(config.shares).reduce((total, share) => total + share[name], 0);
    if (sum <= config[name]) return [];
    const message = `the doors' shares of ${name} are ${sum} together, but ${name} is ${config[name]}`;
    return [{ origin: locate(["shares"], "key"), key: "shares", message }];
  });
}

/** A call that asks for nothing must not be refused for what it was given. */
function defaultAboveMost({ network }: Config, locate: Locate): Fault[] {
  if (isAtMost(network.default, network.most)) return [];
  const message = `it is ${network.default}, which is more than network.most (${network.most})`;
  return [{ origin: locate(["network", "default"], "value"), key: "network.default", message }];
}

/** A class is one runtime's: with two it would be chance in which of them a task runs. */
function runtimesTwice({ runtimes }: Config, locate: Locate): Fault[] {
  return runtimes.flatMap(({ name, isolation }, index) => {
    const other = runtimes.slice(0, index).find((row) => row.isolation === isolation || row.name === name);
    if (other === undefined) return [];
    const what = other.name === name ? `the runtime ${name}` : `the class ${isolation}`;
    const message = `${what} is in this list twice`;
    return [{ origin: locate(["runtimes", index], "value"), key: "runtimes", message }];
  });
}

/** One of them would be told to the server, and nobody says which. */
function labelsTwice({ indexify: { labels } }: Config, locate: Locate): Fault[] {
  const names = labels.map((label) => label.slice(0, label.indexOf("=")));
  return names.flatMap((name, index) => {
    if (names.indexOf(name) === index) return [];
    const origin = locate(["indexify", "labels", index], "value");
    return [{ origin, key: "indexify.labels", message: `the label ${name} is in this list twice` }];
  });
}
