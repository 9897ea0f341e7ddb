import { expect, test } from "vitest";
import { Scope } from "./scope.ts";
import { sleep } from "./sleep.ts";

const untilAborted = (signal: AbortSignal): Promise<void> => sleep(60_000, signal);

test("resources and children end in the reverse of the order they came in, each before the next", async () => {
  const order: string[] = [];
  const scope = new Scope();
  scope.defer(() => void order.push("first"));
  scope.spawn(async (signal) => {
    await untilAborted(signal).catch(() => order.push("child"));
  });
  scope.use({
    [Symbol.asyncDispose]: async () => {
      await sleep(1);
      order.push("last");
    },
  });
  await scope[Symbol.asyncDispose]();
  expect(order).toEqual(["child", "last", "first"]);
});

test("disposing twice closes once", async () => {
  let closed = 0;
  const scope = new Scope();
  scope.use({ [Symbol.dispose]: () => void (closed += 1) });
  await Promise.all([scope[Symbol.asyncDispose](), scope[Symbol.asyncDispose]()]);
  expect(closed).toBe(1);
});

test("a child that fails stops its siblings, and disposing throws its failure after closing everything", async () => {
  const scope = new Scope();
  const failure = new Error("child");
  let isClosed = false;
  scope.defer(() => void (isClosed = true));
  let sibling: unknown;
  scope.spawn(async (signal) => {
    await untilAborted(signal).catch((reason: unknown) => {
      sibling = reason;
    });
  });
  scope.spawn(() => Promise.reject(failure));
  await scope.stopping();
  await expect(scope[Symbol.asyncDispose]()).rejects.toBe(failure);
  expect(sibling).toBe(failure);
  expect(isClosed).toBe(true);
});

test("a child that ends by the reason it was told to end for has not failed", async () => {
  const stop = new AbortController();
  const scope = new Scope(stop.signal);
  scope.spawn(untilAborted);
  stop.abort(new Error("the outer wish"));
  await scope.stopping();
  await scope[Symbol.asyncDispose]();
  expect(scope.signal.reason).toBe(stop.signal.reason);
});

test("a scope whose outer signal has aborted already is stopping from birth", async () => {
  const scope = new Scope(AbortSignal.abort());
  await scope.stopping();
  expect(scope.signal.aborted).toBe(true);
  await scope[Symbol.asyncDispose]();
});

test("one failing close does not keep the others from closing", async () => {
  const scope = new Scope();
  let isClosed = false;
  scope.defer(() => void (isClosed = true));
  scope.defer(() => Promise.reject(new Error("close")));
  await expect(scope[Symbol.asyncDispose]()).rejects.toThrow("close");
  expect(isClosed).toBe(true);
});

test("a closed scope takes nothing more", async () => {
  const scope = new Scope();
  await scope[Symbol.asyncDispose]();
  expect(() => scope.spawn(untilAborted)).toThrow("closed");
  expect(() => scope.defer(() => undefined)).toThrow("closed");
});
