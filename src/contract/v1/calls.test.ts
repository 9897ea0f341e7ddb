import { expect, test } from "vitest";
import { callQuery, newRun } from "./calls.ts";

test.each([
  ["a call's query", callQuery],
  ["a run's body", newRun],
])("%s refuses a name that it does not know, since it may be a misspelt floor", (_name, schema) => {
  expect(schema.safeParse({ image: "echo" }).success).toBe(true);
  const refused = schema.safeParse({ image: "echo", isolaton: "gvisor" });
  expect(refused.success).toBe(false);
  expect(refused.error?.message).toContain("isolaton");
});
