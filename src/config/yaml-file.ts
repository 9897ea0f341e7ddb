import type { Document, YAMLMap } from "yaml";
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import type { Fault, Origin } from "./fault.ts";
import { readSwitch } from "./from-text.ts";
import { findRow } from "./table.ts";

/** What a file says, before it is judged. */
export interface FileLayer {
  readonly values: Readonly<Record<string, unknown>>;
  /** Syntax errors and keys given twice. */
  readonly faults: readonly Fault[];
  /** The place of a key or of its value, or of the nearest thing around it that the file has. */
  readonly locate: (path: readonly PropertyKey[], wanted: "key" | "value") => Origin;
}

/** Reads YAML and keeps every position. Nothing in it is executed, and a tag we do not know is a fault. */
export function readYaml(path: string, source: string): FileLayer {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false, version: "1.2" });
  const at = (offset: number): Origin => {
    const { line, col } = lines.linePos(offset);
    return { type: "file", path, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const faults: Fault[] = [...document.errors, ...document.warnings].map((error) => ({
    origin: at(error.pos[0]),
    key: error.code === "DUPLICATE_KEY" ? wordAt(source, error.pos[0]) : "",
    message: error.code === "DUPLICATE_KEY" ? "this key is given twice" : sentence(error.message),
  }));
  const locate: FileLayer["locate"] = (keys, wanted) => at(offsetOf(document.contents, keys, wanted));
  if (document.errors.some((error) => error.code !== "DUPLICATE_KEY")) return { values: {}, faults, locate };
  if (document.contents === null) return { values: {}, faults, locate };
  if (!isMap(document.contents)) {
    const fault = { origin: at(document.contents.range[0]), key: "", message: "expected keys and values" };
    return { values: {}, faults: [...faults, fault], locate };
  }
  try {
    return { values: toValues(document, document.contents, []), faults, locate };
  } catch (error) {
    // Only an alias can fail here: one that leads nowhere, or one of very many.
    const fault = { origin: at(0), key: "", message: sentence(error instanceof Error ? error.message : "") };
    return { values: {}, faults: [...faults, fault], locate };
  }
}

/** Plain values. A key without a value counts as not given; a bare `yes` is true where a truth value is wanted. */
function toValues(document: Document, map: YAMLMap, path: readonly string[]): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const { key, value } of map.items) {
    const name = nameOf(key);
    const here = [...path, name];
    const plain = isMap(value) ? toValues(document, value, here) : toValue(document, value, here);
    if (plain === null || plain === undefined) continue;
    // Not by assignment: a key named __proto__ must stay a key.
    Object.defineProperty(values, name, {
      value: plain,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return values;
}

function toValue(document: Document, value: unknown, path: readonly string[]): unknown {
  if (!isNode(value)) return value;
  const plain: unknown = value.toJS(document, { maxAliasCount: 100 });
  const isBare = isScalar(value) && value.type === "PLAIN";
  if (isBare && typeof plain === "string" && findRow(path.join("."))?.kind === "switch") {
    return readSwitch(plain) ?? plain;
  }
  return plain;
}

/** Where the value of a key path begins, or its last key; as near as the file goes. */
function offsetOf(root: unknown, keys: readonly PropertyKey[], wanted: "key" | "value"): number {
  let node = root;
  let offset = startOf(root) ?? 0;
  for (const [index, key] of keys.entries()) {
    if (isMap(node)) {
      const pair = node.items.find((item) => nameOf(item.key) === String(key));
      if (pair === undefined) return offset;
      offset = startOf(pair.key) ?? offset;
      node = pair.value;
      if (wanted === "key" && index === keys.length - 1) return offset;
    } else if (isSeq(node)) node = node.items[Number(key)];
    else return offset;
    offset = startOf(node) ?? offset;
  }
  return offset;
}

function nameOf(key: unknown): string {
  return String(isScalar(key) ? key.value : key);
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

/** The parser's own words, without the positions that we print ourselves. */
function sentence(message: string): string {
  const first = message.split("\n")[0] ?? message;
  return `not valid YAML: ${first.replace(/ at line \d+, column \d+:?$/, "")}`;
}

function wordAt(source: string, offset: number): string {
  return /^[^\s:]*/.exec(source.slice(offset, offset + 100))?.[0] ?? "";
}
