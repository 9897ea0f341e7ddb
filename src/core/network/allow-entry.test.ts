import { expect, test } from "vitest";
import { formatAllowEntry, parseAllowEntry } from "./allow-entry.ts";

test.each([
  ["10.0.0.5", "10.0.0.5"],
  ["10.0.0.5:9000", "10.0.0.5:9000"],
  ["10.1.2.3/16", "10.1.0.0/16"],
  ["10.1.0.0/16:443", "10.1.0.0/16:443"],
  ["0.0.0.0/0", "0.0.0.0/0"],
])("the entry %s is read as %s", (text, printed) => {
  const entry = parseAllowEntry(text);
  expect(entry && formatAllowEntry(entry)).toBe(printed);
});

test.each([
  "",
  "db",
  "10.0.0",
  "10.0.0.5:",
  "10.0.0.5:0",
  "10.0.0.5:65536",
  "10.0.0.5:a",
  "10.0.0.0/33",
  "10.0.0.5:1:2",
  "::1",
  "fd00::1/8",
  "10.0.0.5 ; flush ruleset",
])("%j is no entry", (text) => {
  expect(parseAllowEntry(text)).toBeUndefined();
});
