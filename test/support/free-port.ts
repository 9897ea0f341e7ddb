import { createServer } from "node:net";

/** Below what Linux gives to whoever asks for any port, and so that a Redis cluster's second port, 10 000 above, is too. */
const FIRST = 12_000;
/** Tests that run side by side, in two lanes (`scripts/check/steps.mjs`) or as two workers of one, have ports of their own. */
const COUNT = 2500;
const LANE = process.env["TEST_LANE"] === "engine" ? 1 : 0;
const WORKER = Number(process.env["VITEST_POOL_ID"] ?? 0) % 2;
const BASE = FIRST + (2 * LANE + WORKER) * COUNT;
/** How far the turns of two processes that were started one after the other lie apart. */
const STRIDE = 41;

let turn = process.pid * STRIDE;

/**
 * A TCP port of loopback that is free, and likely to stay so until it is used: the kernel gives it to no connection as its own
 * end and to no server that asks for any port, other test files that run beside this one have other ports, and those before it had other turns.
 */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < COUNT; tried += 1) {
    const port = BASE + (turn % COUNT);
    turn += 1;
    if (await isFree(port)) return port;
  }
  throw new Error("no port is free");
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
