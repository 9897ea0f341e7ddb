import type { Row } from "./table.ts";

const YES = new Set(["true", "yes", "on", "1"]);
const NO = new Set(["false", "no", "off", "0"]);
const NUMBER = /^-?\d+(\.\d+)?$/;

/**
 * Reads the text of a variable or flag as the kind of value that the setting wants. A text that does not fit comes back as it
 * is, so that the schema names the fault.
 */
export function fromText(row: Row, text: string): unknown {
  const word = text.trim();
  switch (row.kind) {
    case "whole":
    case "number":
      return NUMBER.test(word) ? Number(word) : text;
    case "switch":
      return readSwitch(word) ?? text;
    case "list":
      return word === "" ? [] : word.split(",").map((item) => item.trim());
    case "choice":
      return word;
    case "text":
    case "secret":
    case "records":
      return text;
  }
}

/** YAML 1.1 and people say yes and on; YAML 1.2 and JSON do not. */
export function readSwitch(word: string): boolean | undefined {
  const lower = word.toLowerCase();
  if (YES.has(lower)) return true;
  return NO.has(lower) ? false : undefined;
}
