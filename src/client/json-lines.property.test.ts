import fc from "fast-check";
import { expect, test } from "vitest";
import { readJsonEvents, readJsonLines } from "./json-lines.ts";

test.each([
  ["values", "", "\n\n", readJsonLines],
  ["server-sent events", ": a comment\n\nid: 1\ndata: ", "\n\n", readJsonEvents],
])(
  "%s come whole, however their bytes are cut, and blank lines are nothing",
  async (_, before, after, reader) => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.jsonValue()), fc.array(fc.nat(5)), async (values, cuts) => {
        const text = values.map((value) => `${before}${JSON.stringify(value)}${after}`).join("");
        const bytes = new TextEncoder().encode(text);
        const body = new ReadableStream<Uint8Array>({
          start(controller) {
            let at = 0;
            for (const cut of cuts) {
              controller.enqueue(bytes.subarray(at, at + cut));
              at += cut;
            }
            controller.enqueue(bytes.subarray(at));
            controller.close();
          },
        });
        const read: unknown[] = [];
        for await (const value of reader(new Response(body))) read.push(value);
        expect(read).toEqual(values.map((value) => JSON.parse(JSON.stringify(value)) as unknown));
      }),
    );
  },
);

test("leaving early cancels the body", async () => {
  let isCancelled = false;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode("1\n2\n")),
    cancel: () => {
      isCancelled = true;
    },
  });
  for await (const value of readJsonLines(new Response(body))) {
    expect(value).toBe(1);
    break;
  }
  expect(isCancelled).toBe(true);
});
