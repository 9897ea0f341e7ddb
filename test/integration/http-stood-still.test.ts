import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { openTestDoor } from "../support/open-test-door.ts";
import { poll } from "../support/poll.ts";

const HEAD_TIMEOUT_MS = 300;
const BODY = JSON.stringify({ id: "echo:1", input: "hello" });
const CALL = `POST / HTTP/1.1\r\nHost: 127.0.0.1:2591\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

/** Blocks this process, and with it the door and all its clocks. */
function standStill(): void {
  const untilMs = performance.now() + 4 * HEAD_TIMEOUT_MS;
  while (performance.now() < untilMs);
}

// A door that has to pass on traces looks at headers, which only the slower path does.
test.each([
  ["the plain path", false],
  ["the slower path", true],
])("requests that came in time while the daemon stood still are served on %s", async (_path, isTraced) => {
  await using door = await openTestDoor({
    isTraced,
    limits: { headerTimeoutMs: HEAD_TIMEOUT_MS, bodyTimeoutMs: HEAD_TIMEOUT_MS, keepAliveMs: 60_000 },
  });
  door.executor.script = (running) => running.answer("well");
  const client = connect({ port: door.port, host: "127.0.0.1" });
  sockets.push(client);
  let said = "";
  client.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await once(client, "connect");
  await poll("it is accepted", () => door.counts().open === 1 || String(door.counts().open));
  client.write(CALL);
  standStill();
  await poll("it is answered", () => said.includes("well") || `"${said}"`);
  expect(said).toMatch(/^HTTP\/1\.1 200 /);
  // And on a connection that was looked at twice.
  client.write(CALL);
  standStill();
  await poll("the next is answered", () => said.split("HTTP/1.1 200 ").length === 3 || `"${said}"`);
});

test("a body that came in time while the daemon stood still is read, and one that does not come is refused", async () => {
  await using door = await openTestDoor({ limits: { bodyTimeoutMs: HEAD_TIMEOUT_MS } });
  door.executor.script = (running) => running.answer("well");
  const head = CALL.slice(0, -BODY.length).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
  for (const [isSent, status] of [
    [true, 200],
    [false, 408],
  ] as const) {
    const client = connect({ port: door.port, host: "127.0.0.1" });
    sockets.push(client);
    let said = "";
    client.on("data", (chunk: Buffer) => (said += chunk.toString()));
    client.write(head);
    // From here on the body's clock runs.
    await poll("it is asked for the body", () => said.includes(" 100 Continue") || `"${said}"`);
    if (isSent) client.write(BODY);
    standStill();
    await poll("it is answered", () => said.split("HTTP/1.1 ").length > 2 || `"${said}"`);
    expect(said).toContain(`HTTP/1.1 ${status} `);
  }
});
