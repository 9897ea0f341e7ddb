import fc from "fast-check";
import { expect, test } from "vitest";
import { parseExecutionRequest } from "./execution-request.ts";
import { ExecutionRequestReader } from "./execution-request-reader.ts";

const space = fc.constantFrom("", " ", "  ", "\n", "\t ");
const inputText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 30 }).map((text) => JSON.stringify(text)),
  fc.string({ maxLength: 30 }).map((text) => `"${text}"`),
  fc.constantFrom(
    '"a\\"input\\":\\"b"',
    '"\\u0061\\ud800"',
    '"x","input":"y"',
    '"',
    "5",
    "null",
    '{"input":"z"}',
    '"\x01"',
  ),
);
const field = fc.constantFrom(
  '"id":"a"',
  '"id":"b:1"',
  '"id":""',
  '"resource":{"cpu":1}',
  '"resource":{"cpu":"x"}',
  '"resource":{"input":"n"}',
  '"x\\"input":"q"',
  '"input" :"early"',
  '"note":"\\"input\\":"',
  '"note":"é€"',
  '"runtime":"odd"',
);
const fields = fc.array(field, { maxLength: 3 });
const envelope = fc.tuple(fields, fields, space, space, space).map(([before, after, a, b, c]) => ({
  head: `${a}{${[...before, '"input":'].join(`,${b}`)}${b}`,
  tail: `${c}${after.map((one) => `,${one}`).join("")}}${a}`,
}));
const bodies = fc.tuple(envelope, fc.array(inputText, { minLength: 3, maxLength: 6 }));

test("a remembered envelope never changes what a request means", () => {
  // One reader for all runs, so that envelopes of earlier ones get their chance to be mistaken for others.
  const reader = new ExecutionRequestReader();
  fc.assert(
    fc.property(bodies, fc.option(fc.nat({ max: 255 })), ([{ head, tail }, inputs], bad) => {
      for (const input of inputs) {
        const body = Buffer.from(head + input + tail);
        if (bad !== null) body[Math.floor(body.length / 2)] = bad;
        expect(reader.parse(body)).toEqual(parseExecutionRequest(body));
      }
    }),
    { numRuns: 3000 },
  );
});

test("the task of one envelope is one object, and its input is cut out of the body", () => {
  const reader = new ExecutionRequestReader();
  const body = (input: string): Buffer => Buffer.from(`{"id":"a","input":"${input}","resource":{"cpu":1}}`);
  const parsed = ["1", "2", "3", "4"].map((input) => reader.parse(body(input)));
  expect(parsed.map((one) => one.type === "request" && one.input.toString())).toEqual(["1", "2", "3", "4"]);
  const [, , third, fourth] = parsed;
  expect(third?.type === "request" && fourth?.type === "request" && third.task === fourth.task).toBe(true);
});

test("thousands of different envelopes are forgotten again", () => {
  const reader = new ExecutionRequestReader();
  for (let n = 0; n < 2000; n += 1) {
    for (const input of ["x", "y", "z"]) {
      const parsed = reader.parse(Buffer.from(`{"id":"task${n}","input":"${input}"}`));
      expect(parsed).toMatchObject({ type: "request", task: { image: `task${n}` } });
    }
  }
});
