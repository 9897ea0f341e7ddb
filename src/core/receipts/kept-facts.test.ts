import { expect, test } from "vitest";
import { ExecutorError } from "../errors.ts";
import { keptFacts, readFacts } from "./kept-facts.ts";

test("W: what an attempt failed with is kept as it was told, fractions and lists included", () => {
  const facts = { field: "resource.cpu", asked: 2.5, limit: 1.75, offered: ["a", "b"], isHard: true };
  const text = keptFacts(new ExecutorError("RESOURCES_EXCEED_LIMIT", facts));
  expect(text).toBe(JSON.stringify(facts));
  expect(readFacts(text)).toEqual(facts);
});

test("W: what a task printed, what has a field of its own and what is too long is not kept, whatever stands before it", () => {
  const facts = { image: "a:1", reason: "x".repeat(480), exitCode: 3, signal: "SIGKILL", logTail: "secret" };
  const text = keptFacts(
    new ExecutorError("SANDBOX_EXITED_EARLY", { ...facts, more: "y".repeat(600), afterMs: 7 }),
  );
  expect(text).toBe(JSON.stringify({ image: "a:1", reason: "x".repeat(480) }));
  const long = { reason: "z".repeat(5_000), limit: 1, unknown: undefined };
  expect(keptFacts(new ExecutorError("TASK_PROTOCOL", long))).toBe('{"limit":1}');
});

test("W: a failure without facts, a defect of ours and what is no error of ours keep none", () => {
  const defect = new ExecutorError("INTERNAL", { reason: "a path" });
  for (const error of [undefined, new Error("x"), defect, new ExecutorError("PAUSED")])
    expect(keptFacts(error)).toBeUndefined();
});

test("what nobody can have kept reads as nothing", () => {
  for (const text of [undefined, "", "{", "null", "7", '{"a":{"b":1}}', '{"a":[1]}', '{"a":null}'])
    expect(readFacts(text)).toEqual({});
});
