import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { orAbort, withDeadline } from "./deadline.ts";
import { sleep } from "./sleep.ts";

test("the work is told by an error of ours when the time is over", async () => {
  await expect(
    withDeadline({ ms: 1, code: "ENGINE_UNAVAILABLE", facts: { verb: "list" } }, (signal) =>
      sleep(60_000, signal),
    ),
  ).rejects.toMatchObject({ code: "ENGINE_UNAVAILABLE", facts: { verb: "list" } });
});

test("the parent's reason is passed on as it stands", async () => {
  const parent = new AbortController();
  const work = withDeadline({ ms: 60_000, code: "INTERNAL", parent: parent.signal }, (signal) =>
    sleep(60_000, signal),
  );
  parent.abort(new Error("gone"));
  await expect(work).rejects.toThrow("gone");
});

test("a parent that has aborted already stops the work from beginning", async () => {
  let began = false;
  const parent = AbortSignal.abort(new Error("gone"));
  await expect(
    withDeadline({ ms: 1, code: "INTERNAL", parent }, async () => {
      began = true;
    }),
  ).rejects.toThrow("gone");
  expect(began).toBe(false);
});

test("nothing stays linked to the parent after the work", async () => {
  const parent = new AbortController();
  for (let i = 0; i < 20; i += 1) {
    await withDeadline({ ms: 1000, code: "INTERNAL", parent: parent.signal }, async () => i);
    await orAbort(Promise.resolve(i), parent.signal);
    await sleep(0, parent.signal);
  }
  expect(getEventListeners(parent.signal, "abort")).toEqual([]);
});

test("what an abandoned promise brings late is released", async () => {
  const stop = new AbortController();
  let bring: (value: string) => void = () => undefined;
  const slow = new Promise<string>((resolve) => {
    bring = resolve;
  });
  const released: string[] = [];
  const waiting = orAbort(slow, stop.signal, (late) => void released.push(late));
  stop.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  bring("container");
  await slow;
  expect(released).toEqual(["container"]);
});
