import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { eitherSignal } from "./either-signal.ts";

test.each([0, 1])("aborts with either signal, for its reason (%i)", (which) => {
  const both = [new AbortController(), new AbortController()] as const;
  using either = eitherSignal(both[0].signal, both[1].signal);
  expect(either.signal.aborted).toBe(false);
  both[which]?.abort("first");
  both[1 - which]?.abort("second");
  expect(either.signal.reason).toBe("first");
});

test.each([0, 1])("has aborted where one had before (%i)", (which) => {
  const signals = [new AbortController().signal, new AbortController().signal] as [AbortSignal, AbortSignal];
  signals[which] = AbortSignal.abort("gone");
  using either = eitherSignal(...signals);
  expect(either.signal.reason).toBe("gone");
});

test("disposed it follows nobody, and leaves nothing behind at signals that live on", () => {
  const [one, other] = [new AbortController(), new AbortController()];
  const either = eitherSignal(one.signal, other.signal);
  either[Symbol.dispose]();
  one.abort();
  expect(either.signal.aborted).toBe(false);
  expect(getEventListeners(one.signal, "abort")).toEqual([]);
  expect(getEventListeners(other.signal, "abort")).toEqual([]);
});
