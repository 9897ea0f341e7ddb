import { afterEach, expect, test } from "vitest";
import type { Log } from "./core/index.ts";
import { tellWarnings } from "./runtime-warnings.ts";

const before = process.listeners("warning");
afterEach(() => {
  expect(process.listeners("warning")).toEqual(before);
});

/** Warnings are emitted in a later turn. */
async function warned(emit: () => void): Promise<readonly (readonly unknown[])[]> {
  const lines: (readonly unknown[])[] = [];
  const log: Log = { log: (...line) => void lines.push(line) };
  using _told = tellWarnings(log);
  emit();
  await new Promise((resolve) => setImmediate(resolve));
  return lines;
}

test("what Node.js warns of is a line of the log, and is printed no more", async () => {
  expect(
    await warned(() => process.emitWarning("too many listeners", "MaxListenersExceededWarning")),
  ).toEqual([
    [
      "warn",
      "runtime.warned",
      { warning: "MaxListenersExceededWarning: too many listeners", code: undefined },
    ],
  ]);
});

test("what is known and harmless is told to those who look closely", async () => {
  const emit = (): void => process.emitWarning("an IP address", "DeprecationWarning", "DEP0123");
  expect(await warned(emit)).toEqual([
    ["debug", "runtime.warned", { warning: "DeprecationWarning: an IP address", code: "DEP0123" }],
  ]);
});
