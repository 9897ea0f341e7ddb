import fc from "fast-check";
import { expect, test } from "vitest";
import { type ExecutionRequest, parseExecutionRequest } from "./execution-request.ts";
import { readLargeRequest } from "./large-request.ts";

function inSteps(body: Buffer, stepBytes: number): ExecutionRequest {
  const steps = readLargeRequest(body, stepBytes);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

const scraps = fc.constantFrom(
  "plain text",
  '\\"',
  "\\\\",
  "\\n",
  "\\u00e4",
  "\\ud83d\\ude00",
  "\\uD83D",
  "\\ude00",
  "\\ud83d\\n",
  "\\u12",
  "\\x",
  "é",
  "€",
  "😀",
  "\u2028",
  "\t",
  '"',
  '","input":"again',
);
const inputs = fc.array(fc.oneof({ weight: 4, arbitrary: scraps }, { weight: 1, arbitrary: fc.string() }), {
  maxLength: 30,
});
const heads = fc.constantFrom(
  '{"id":"a","input":"',
  '{"id":"a","input": "',
  '{"input":"',
  '{"id":"a","x":{"input":"',
  '["input":"',
);
const tails = fc.constantFrom(
  '"}',
  '","id":"b","resource":{"cpu":2}}',
  '","input":5}',
  '","id":""}',
  '"',
  "",
  '"} x',
);

test("in steps of any length a request means what it means as a whole", () => {
  fc.assert(
    fc.property(
      heads,
      inputs,
      tails,
      fc.integer({ min: 1, max: 40 }),
      fc.option(fc.nat({ max: 255 })),
      (head, parts, tail, stepBytes, bad) => {
        const body = Buffer.from(head + parts.join("") + tail);
        if (bad !== null) body[head.length + Math.floor((body.length - head.length) / 2)] = bad;
        expect(inSteps(body, stepBytes)).toEqual(parseExecutionRequest(body));
      },
    ),
    { numRuns: 3000 },
  );
});

test("ten megabytes take many steps, and text without escapes is not copied", () => {
  const body = Buffer.from(JSON.stringify({ id: "a", input: "ü".repeat(5 * 1024 * 1024) }));
  const steps = readLargeRequest(body);
  let count = 0;
  for (;;) {
    const step = steps.next();
    if (step.done !== true) {
      count += 1;
      continue;
    }
    expect(step.value.type === "request" && step.value.input.buffer === body.buffer).toBe(true);
    expect(step.value).toMatchObject({ task: { image: "a" } });
    break;
  }
  expect(count).toBeGreaterThan(100);
});
