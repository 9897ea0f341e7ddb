import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { keepsConnection } from "./keeps-connection.ts";

async function isKept(
  onSocket: (socket: Socket) => void,
  meanwhile: () => void = () => undefined,
): Promise<boolean> {
  const server = createServer(onSocket);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const kept = keepsConnection({ host: "127.0.0.1", port: (server.address() as AddressInfo).port });
    meanwhile();
    return await kept;
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

test("a server that takes a connection and keeps it runs", async () => {
  expect(await isKept(() => undefined)).toBe(true);
});

test("a server that hangs up at once does not, as a proxy with nobody behind it", async () => {
  expect(await isKept((socket) => socket.destroy())).toBe(false);
});

/** As on a machine that does much else: nothing of this process runs for longer than any of its deadlines. */
function standStill(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
}

test("a time in which this process was kept from running says nothing about the server", async () => {
  expect(await isKept(() => undefined, standStill)).toBe(true);
  expect(await isKept((socket) => socket.destroy(), standStill)).toBe(false);
  const hangsUpLate = (socket: Socket): void => {
    standStill();
    socket.destroy();
  };
  expect(await isKept(hangsUpLate)).toBe(false);
});

test("nobody listens", async () => {
  expect(await keepsConnection({ host: "127.0.0.1", port: 1 })).toBe(false);
});
