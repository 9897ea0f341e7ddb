import { expect, test } from "vitest";
import type { ErrorCode } from "../core/index.ts";
import { ERRORS, ExecutorError } from "../core/index.ts";
import { retryAfterSeconds, statusOf, toProblem } from "./problem.ts";
import { problem } from "./v1/problem.ts";

const CODES = Object.keys(ERRORS) as ErrorCode[];

test("every code has a status that tells whose turn it is", () => {
  for (const code of CODES) {
    const { fault } = ERRORS[code];
    const status = statusOf(code);
    if (fault === "caller") expect(status, code).toBeLessThan(500);
    if (fault === "task" && code !== "START_BACKOFF") expect([502, 504], code).toContain(status);
    if (status === 503) expect(["later", "never"], code).toContain(ERRORS[code].retry);
  }
  expect(statusOf("REQUEST_TIMEOUT")).toBe(408);
  expect(statusOf("RUN_TIMEOUT")).toBe(504);
});

test("every 503 that may pass says when to come back, and only those", () => {
  for (const code of CODES) {
    const wants = statusOf(code) === 503 && ERRORS[code].retry === "later";
    expect(retryAfterSeconds(new ExecutorError(code)) !== undefined, code).toBe(wants);
  }
  expect(retryAfterSeconds(new ExecutorError("START_BACKOFF", { retryAfterMs: 1 }))).toBe(1);
  expect(retryAfterSeconds(new ExecutorError("START_BACKOFF", { retryAfterMs: 61_000 }))).toBe(61);
});

test("every error makes a problem that fits its schema", () => {
  for (const code of CODES) {
    const made: unknown = toProblem(new ExecutorError(code, { field: "x", wanted: ["a"] }), "r1");
    expect(problem.safeParse(JSON.parse(JSON.stringify(made))).success, code).toBe(true);
  }
});

test("what is not ours keeps its text to itself", () => {
  const made = toProblem(new Error("password=hunter2"), "r1");
  expect(made).toMatchObject({ code: "INTERNAL", status: 500, facts: {} });
  expect(JSON.stringify(made)).not.toContain("hunter2");
});
