import { Secret } from "../core/index.ts";
import type { Fault, Origin } from "./fault.ts";
import { nearest } from "./fault.ts";
import { judge } from "./judge.ts";
import type { Loaded } from "./load.ts";
import type { Config } from "./schema.ts";
import type { Row } from "./table.ts";
import { findRow, isSection, TABLE } from "./table.ts";
import type { Values } from "./values.ts";
import { putAt, valueAt } from "./values.ts";

export type PatchResult =
  | { readonly loaded: Loaded; readonly changed: readonly string[]; readonly faults: readonly [] }
  | { readonly loaded: undefined; readonly faults: readonly Fault[] };

const API = { type: "api" } as const;
const DEEPEST = 4;

/**
 * Lays a change over what is in force: nested as in the file, or with dotted keys. It is judged as a whole, together with what
 * stays; either all of it is in the answer, or none and every fault is named. What cannot change while running is a fault.
 */
export function applyPatch(current: Loaded, patch: unknown): PatchResult {
  const entries: [Row, unknown][] = [];
  const faults: Fault[] = [];
  collect(patch, "", 0, entries, faults);
  for (const [row] of entries) {
    if (row.isLive !== true) faults.push(fault(row.key, "this cannot change while the daemon runs"));
  }
  const values = structuredClone(current.values) as Values;
  for (const [row, value] of entries) putAt(values, row.path, value);
  const judged = judge(values, () => API);
  if (judged.config === undefined || faults.length > 0) {
    return { loaded: undefined, faults: [...faults, ...judged.faults] };
  }
  const origins = new Map(current.origins);
  for (const [row] of entries) origins.set(row.key, API);
  const config = withLive(current.config, judged.config);
  const changed = entries.map(([row]) => row.key);
  return { loaded: { ...current, config, values, origins }, changed, faults: [] };
}

/** What may change comes from `fresh`, all else stays; names what would have to change with a new start. */
export function takeLive(
  current: Loaded,
  fresh: Loaded,
): { readonly loaded: Loaded; readonly needRestart: readonly string[] } {
  const origins = new Map<string, Origin>();
  const needRestart: string[] = [];
  for (const { key, path, isLive } of TABLE.rows) {
    const origin = (isLive === true ? fresh : current).origins.get(key);
    if (origin !== undefined) origins.set(key, origin);
    const isSame = sameText(valueAt(current.config, path)) === sameText(valueAt(fresh.config, path));
    if (isLive !== true && !isSame) needRestart.push(key);
  }
  const config = withLive(current.config, fresh.config);
  return { loaded: { ...fresh, config, origins, tokens: current.tokens }, needRestart };
}

/** Two values are the same if this is. It shows secrets, so it goes nowhere. */
function sameText(value: unknown): string {
  if (value instanceof Secret) return value.reveal();
  if (Array.isArray(value)) return value.map(sameText).join("\n");
  if (!isGroup(value)) return String(value);
  return Object.entries(value)
    .map(([name, inner]: [string, unknown]) => `${name}=${sameText(inner)}`)
    .join("\n");
}

function collect(
  patch: unknown,
  prefix: string,
  depth: number,
  entries: [Row, unknown][],
  faults: Fault[],
): void {
  if (patch === null || typeof patch !== "object" || Array.isArray(patch) || depth > DEEPEST) {
    faults.push(fault(prefix, "expected keys and values"));
    return;
  }
  for (const [name, value] of Object.entries(patch)) {
    const key = prefix === "" ? name : `${prefix}.${name}`;
    const row = findRow(key);
    if (row !== undefined) entries.push([row, value]);
    else if (isSection(key)) collect(value, key, depth + 1, entries, faults);
    else faults.push(unknownKey(key));
  }
}

function unknownKey(key: string): Fault {
  const near = nearest(
    key,
    TABLE.rows.map((row) => row.key),
  );
  return fault(key, `there is no such setting${near === undefined ? "" : `; did you mean ${near}?`}`);
}

function fault(key: string, message: string): Fault {
  return { origin: API, key, message };
}

/** The new values of what may change; all else as it was, with the defaults of this host. */
function withLive(current: Config, next: Config): Config {
  const merged = copyGroups(current);
  for (const row of TABLE.rows) {
    if (row.isLive !== true) continue;
    let from: unknown = next;
    for (const name of row.path) from = (from as Values)[name];
    putAt(merged, row.path, from);
  }
  return merged as unknown as Config;
}

/** Copies the groups, and keeps what is in them: `structuredClone` would take secrets apart. */
function copyGroups(group: object): Values {
  return Object.fromEntries(
    Object.entries(group).map(([name, value]: [string, unknown]) => [
      name,
      isGroup(value) ? copyGroups(value) : value,
    ]),
  );
}

function isGroup(value: unknown): value is object {
  return value !== null && typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype;
}
