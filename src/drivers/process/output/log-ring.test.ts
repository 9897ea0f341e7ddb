import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { watchForMark } from "../readiness/ready-mark.ts";
import { followLog } from "./follow-log.ts";
import { LOG_RING_BYTES, LogRing } from "./log-ring.ts";

const bytes = (text: string): Buffer => Buffer.from(text, "utf8");

describe("the log ring", () => {
  test("the tail is the end of what was written, never above what was asked for or is kept", () => {
    const writes = fc.array(
      fc.tuple(fc.constantFrom("stdout" as const, "stderr" as const), fc.string({ maxLength: 3000 })),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(writes, fc.integer({ min: 0, max: 2 * LOG_RING_BYTES }), (all, maxBytes) => {
        const ring = new LogRing();
        for (const [stream, text] of all) ring.append(stream, bytes(text));
        const whole = all.map(([, text]) => text).join("");
        const tail = ring.tail(maxBytes);
        expect(whole.endsWith(tail.text)).toBe(true);
        expect(bytes(tail.text).length).toBeLessThanOrEqual(Math.min(maxBytes, LOG_RING_BYTES));
        expect(tail.isTruncated).toBe(tail.text !== whole);
      }),
      { numRuns: 60 },
    );
  });

  test("a tail begins at a whole character, and bytes that are no text stay within the limit", () => {
    const ring = new LogRing();
    ring.append("stdout", bytes("aäö"));
    expect(ring.tail(3).text).toBe("ö");
    const noise = new LogRing();
    noise.append("stdout", Buffer.alloc(100, 0xff));
    expect(Buffer.byteLength(noise.tail(50).text)).toBeLessThanOrEqual(50);
  });

  test("one write above the ring keeps its end", () => {
    const ring = new LogRing();
    ring.append("stdout", bytes(`${"x".repeat(LOG_RING_BYTES)}end`));
    expect(ring.tail(3)).toEqual({ text: "end", isTruncated: true });
  });

  test("two streams that take turns byte by byte stay bounded", () => {
    const ring = new LogRing();
    for (let index = 0; index < 5000; index += 1)
      ring.append(index % 2 === 0 ? "stdout" : "stderr", bytes("x"));
    expect(ring.tail(LOG_RING_BYTES)).toEqual({ text: "x".repeat(1024), isTruncated: true });
  });
});

describe("following", () => {
  test("a slow reader loses the oldest output and is told how much", async () => {
    const ring = new LogRing();
    const log = followLog(ring, 0, new AbortController().signal);
    const first = log.next();
    ring.append("stdout", bytes("first"));
    expect(await first).toEqual({ done: false, value: { stream: "stdout", text: "first" } });
    for (let index = 0; index < 8; index += 1) ring.append("stdout", Buffer.alloc(65_536, 97 + index));
    expect((await log.next()).value).toEqual({
      stream: "stderr",
      text: "\n[262144 bytes of output not shown]\n",
    });
    expect((await log.next()).value?.text.startsWith("e")).toBe(true);
    await log.return();
  });

  test("a character in two writes is one, streams are told apart, and the end ends it", async () => {
    const ring = new LogRing();
    ring.append("stderr", bytes("before"));
    const chunks: string[] = [];
    const reading = (async () => {
      for await (const { stream, text } of followLog(ring, 100, new AbortController().signal))
        chunks.push(`${stream}:${text}`);
    })();
    await new Promise((resolve) => setImmediate(resolve));
    ring.append("stdout", bytes("ä").subarray(0, 1));
    ring.append("stdout", bytes("ä").subarray(1));
    ring.end();
    await reading;
    expect(chunks).toEqual(["stderr:before", "stdout:ä"]);
  });
});

describe("the ready mark", () => {
  test("is seen however it is cut, on one stream at a time", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 30 }), (a, b) => {
        const text = "x meca-init-done\n";
        const [one, two] = [Math.min(a, b), Math.max(a, b)];
        const ring = new LogRing();
        const mark = watchForMark(ring);
        for (const part of [text.slice(0, one), text.slice(one, two), text.slice(two)])
          ring.append("stdout", bytes(part));
        expect(mark.isSeen).toBe(true);
      }),
    );
    const ring = new LogRing();
    const mark = watchForMark(ring);
    ring.append("stdout", bytes("meca-init"));
    ring.append("stderr", bytes("-done"));
    expect(mark.isSeen).toBe(false);
  });
});
