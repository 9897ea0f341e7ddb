import { expect, test } from "vitest";
import { readTraceParent } from "./trace-parent.ts";

const [TRACE, SPAN] = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"];

test("a caller's place in its trace is read, whatever the case of the header's name", () => {
  expect(
    readTraceParent([
      ["Traceparent", `00-${TRACE}-${SPAN}-01`],
      ["tracestate", "a=1"],
    ]),
  ).toEqual({
    traceId: TRACE,
    spanId: SPAN,
    flags: 1,
    tracestate: "a=1",
  });
  expect(readTraceParent([["traceparent", `cc-${TRACE}-${SPAN}-00-later`]])).toMatchObject({ flags: 0 });
});

test.each([
  [""],
  ["x"],
  [`00-${TRACE}-${SPAN}`],
  [`ff-${TRACE}-${SPAN}-01`],
  [`00-${TRACE}-${SPAN}-01-more`],
  [`00-${"0".repeat(32)}-${SPAN}-01`],
  [`00-${TRACE}-${"0".repeat(16)}-01`],
  [`00-${TRACE.toUpperCase()}-${SPAN}-01`],
])("%j is no place in a trace", (value) => {
  expect(readTraceParent([["traceparent", value]])).toBeUndefined();
});

test("who sends none has none", () => {
  expect(readTraceParent([["accept", "*/*"]])).toBeUndefined();
});
