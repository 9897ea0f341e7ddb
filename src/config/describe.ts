import { Secret } from "../core/index.ts";
import type { Origin } from "./fault.ts";
import { printPlace } from "./fault.ts";
import type { Loaded } from "./load.ts";
import { TABLE } from "./table.ts";
import { valueAt } from "./values.ts";

type Scalar = string | number | boolean | null;

/** One setting in force, as the API and the command line show it. */
export interface Entry {
  readonly key: string;
  /** Secrets show as `[redacted]`. */
  readonly value: Scalar | Scalar[];
  /** `default`, `api`, a variable, a flag, or a place in a file. */
  readonly origin: string;
  readonly unit?: string;
  readonly description: string;
  readonly isLive: boolean;
}

/** Every setting in force, in the order of the schema. */
export function describeConfig({ config, origins }: Loaded): Entry[] {
  return TABLE.rows.map((row) => ({
    key: row.key,
    value: shown(valueAt(config, row.path)),
    origin: printOrigin(origins.get(row.key) ?? { type: "default" }),
    ...(row.unit === undefined ? {} : { unit: row.unit }),
    description: row.about,
    isLive: row.isLive === true,
  }));
}

function printOrigin(origin: Origin): string {
  return origin.type === "api" ? "api" : printPlace(origin);
}

function shown(value: unknown): Scalar | Scalar[] {
  if (value instanceof Secret) return value.reveal() === "" ? "" : "[redacted]";
  if (Array.isArray(value)) return value.map((item) => shownItem(item));
  return shownItem(value);
}

function shownItem(value: unknown): Scalar {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  if (value === null || value === undefined) return null;
  // A token's entry, or a runtime's: whose it is and what it allows may be seen, and no secret. What has no name is shown as its row.
  const { name, token: _token, token_file: _file, ...rest } = value as Readonly<Record<string, unknown>>;
  if (typeof name !== "string") return `{${Object.entries(rest).map(rowWord).join(", ")}}`;
  return `${name} (${Object.values(rest).flatMap(openWords).join(", ")})`;
}

function rowWord([key, value]: readonly [string, unknown]): string {
  return `${key}: ${openWords(value).join(", ")}`;
}

function openWords(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(openWords);
  return typeof value === "string" ? [value] : [];
}
