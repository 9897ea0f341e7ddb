import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ReadyOptions } from "./ready.ts";
import { UNMARKED_READY_MS, untilReady } from "./ready.ts";

const server = createServer((socket) => socket.destroy());
let port = 0;

beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ({ port } = server.address() as AddressInfo);
});
afterAll(() => {
  server.close();
});

/** A task that accepts; `onLook` is told of each look at its port, and answers whether the mark has come by then. */
function look(rule: ReadyOptions["rule"], onLook: (count: number) => boolean): Promise<string> {
  let count = 0;
  let isSeen = false;
  const mark = {
    get isSeen() {
      return isSeen;
    },
    onSeen: () => undefined,
    close: () => undefined,
  };
  const isOurs = (): boolean => {
    count += 1;
    isSeen = onLook(count);
    return true;
  };
  const exited = new Promise<never>(() => undefined);
  const options = { host: "127.0.0.1", port, rule, mark, exited, isOurs, isOnLoopbackOnly: () => false };
  return untilReady(options, new AbortController().signal);
}

/** As a machine does that gives this process no turn. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test("M27: one that accepts and never prints the mark is ready all the same, and is told from one that did", async () => {
  let looks = 0;
  const ready = await look("mark", (count) => {
    looks = count;
    return false;
  });
  expect(ready).toBe("unmarked");
  expect(looks).toBeGreaterThan(1);
});

test("M27: a time in which this machine stood still is no time in which the mark was missing", async () => {
  const ready = await look("mark", (count) => {
    if (count === 2) standStill(UNMARKED_READY_MS + 100);
    return count >= 5;
  });
  expect(ready).toBe("marked");
});

test("one whose port is enough is ready at the first look", async () => {
  let looks = 0;
  const ready = await look("port", (count) => {
    looks = count;
    return false;
  });
  expect([ready, looks]).toEqual(["marked", 1]);
});
