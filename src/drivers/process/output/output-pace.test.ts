import { Readable } from "node:stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { OutputPace, PACE_BYTES, PACE_WINDOW_MS } from "./output-pace.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const flowing = (): Readable => new Readable({ read: () => undefined }).on("data", () => undefined);

test("D8: what goes beyond the pace waits for the next window, on both streams, and then goes on", () => {
  const streams = [flowing(), flowing()];
  const pace = new OutputPace(streams);
  pace.count(PACE_BYTES - 1);
  expect(streams.map((stream) => stream.isPaused())).toEqual([false, false]);
  vi.advanceTimersByTime(100);
  pace.count(1);
  expect(streams.map((stream) => stream.isPaused())).toEqual([true, true]);
  vi.advanceTimersByTime(PACE_WINDOW_MS - 100);
  expect(streams.map((stream) => stream.isPaused())).toEqual([false, false]);
});

test("output spread over windows is never paced", () => {
  const stream = flowing();
  const pace = new OutputPace([stream]);
  for (let window = 0; window < 5; window += 1) {
    pace.count(PACE_BYTES - 1);
    vi.advanceTimersByTime(PACE_WINDOW_MS);
    expect(stream.isPaused()).toBe(false);
  }
});
