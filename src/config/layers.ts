import { dirname, resolve } from "node:path";
import type { Fault, Origin } from "./fault.ts";
import { fromText } from "./from-text.ts";
import type { Locate } from "./judge.ts";
import type { Env } from "./locations.ts";
import type { FileChoice } from "./open-file.ts";
import { openFile } from "./open-file.ts";
import { fromReference } from "./reference-file.ts";
import type { Row } from "./table.ts";
import { TABLE } from "./table.ts";
import type { Values } from "./values.ts";
import { putAt, valueAt } from "./values.ts";
import type { FileLayer } from "./yaml-file.ts";
import { readYaml } from "./yaml-file.ts";

export interface Layered {
  readonly file: string | undefined;
  readonly values: Values;
  /** By setting key, for everything that is given somewhere. */
  readonly origins: Map<string, Origin>;
  readonly locate: Locate;
  readonly faults: readonly Fault[];
  /** What the file says and nobody goes by. */
  readonly warnings: readonly string[];
}

export interface LayerOptions extends FileChoice {
  /** Text of the flags given, by setting key (`http.port`). */
  readonly flags?: Readonly<Record<string, string>>;
}

const NO_FILE: FileLayer = { values: {}, faults: [], locate: () => ({ type: "default" }) };

/** Lays environment and flags over the file; nothing is judged yet. */
export function readLayers(options: LayerOptions): Layered {
  const opened = openFile(options);
  if ("fault" in opened) {
    return {
      file: undefined,
      values: {},
      origins: new Map(),
      locate: NO_FILE.locate,
      faults: [opened.fault],
      warnings: [],
    };
  }
  const plain = opened.path === undefined ? NO_FILE : readYaml(opened.path, opened.source);
  const file =
    options.dialect === "indexify" ? fromReference(plain, options.env) : { ...plain, warnings: [] };
  const values: Values = structuredClone(file.values);
  const origins = new Map<string, Origin>();
  for (const row of TABLE.rows) {
    const inFile = valueAt(values, row.path);
    if (inFile !== undefined) {
      if (opened.path !== undefined) origins.set(row.key, file.locate(row.path, "value"));
      putAt(values, row.path, anchored(row, inFile, folderOf(options, opened.path)));
    }
    const given = overrideOf(row, options);
    if (given === undefined) continue;
    origins.set(row.key, given.origin);
    putAt(values, row.path, anchored(row, fromText(row, given.text), options.cwd));
  }
  const locate: Locate = (path, wanted) => {
    const origin = originOf(origins, path);
    return origin === undefined || origin.type === "file" ? file.locate(path, wanted) : origin;
  };
  return { file: opened.path, values, origins, locate, faults: file.faults, warnings: file.warnings };
}

/** Where relative paths of a file begin: at the file; the reference takes its own from where it was started. */
function folderOf({ dialect, cwd }: LayerOptions, file: string | undefined): string {
  return dialect === "indexify" || file === undefined ? cwd : dirname(file);
}

/** The strongest text for a setting outside the file. An empty variable counts as none, unless another program gave it a meaning. */
function overrideOf(row: Row, { flags, env }: LayerOptions): { text: string; origin: Origin } | undefined {
  const flag = flags?.[row.key];
  if (flag !== undefined && row.flag !== undefined) {
    return { text: flag, origin: { type: "flag", name: row.flag } };
  }
  for (const name of namesInEnv(row)) {
    const text = env[name];
    if (text !== undefined && text !== "") return { text, origin: { type: "env", name } };
    if (text === "" && row.emptyMeans !== undefined && name !== row.env) {
      return { text: row.emptyMeans, origin: { type: "env", name } };
    }
  }
  return undefined;
}

function namesInEnv(row: Row): readonly string[] {
  return [...(row.env === undefined ? [] : [row.env]), ...(row.otherEnv ?? [])];
}

function anchored(row: Row, value: unknown, folder: string): unknown {
  if (row.isPath !== true) return value;
  const anchor = (path: unknown): unknown =>
    typeof path === "string" && path !== "" ? resolve(folder, path) : path;
  return Array.isArray(value) ? value.map(anchor) : anchor(value);
}

/** The origin of a value, or of the list it is part of. */
function originOf(origins: ReadonlyMap<string, Origin>, path: readonly PropertyKey[]): Origin | undefined {
  for (let length = path.length; length > 0; length -= 1) {
    const origin = origins.get(path.slice(0, length).join("."));
    if (origin !== undefined) return origin;
  }
  return undefined;
}

/** Variables that look like ours and are none, for the operator who mistyped one. */
export function strayNames(env: Env): readonly string[] {
  const known = new Set(TABLE.rows.flatMap(namesInEnv));
  return Object.keys(env).filter((name) => name.startsWith("HEARTH_") && !known.has(name));
}
