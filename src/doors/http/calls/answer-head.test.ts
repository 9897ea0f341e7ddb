import fc from "fast-check";
import { expect, test } from "vitest";
import { answerHeaders } from "./answer-head.ts";

test("whatever headers a task sends, only those that describe its body come through, and none that a line could break", () => {
  const name = fc.oneof(
    fc.constantFrom("content-type", "set-cookie", "etag", "location", "hearth-error"),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(name, fc.string({ unit: "binary" }))), (headers) => {
      const head = { status: 200, headers, contentType: undefined, contentLength: undefined };
      for (const [key, value] of Object.entries(answerHeaders(head, undefined))) {
        expect(key).toMatch(
          /^(content-|cache-control|etag|expires|last-modified|hearth-outcome|x-content-type-options)/i,
        );
        expect(String(value)).not.toMatch(/[\r\n\0]/);
      }
    }),
  );
});

test("a status that no answer may have is the task's fault", () => {
  for (const status of [0, 100, 199, 600, 999]) {
    const head = { status, headers: [], contentType: undefined, contentLength: undefined };
    expect(() => answerHeaders(head, undefined)).toThrow("not HTTP");
  }
});
