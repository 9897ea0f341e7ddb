import { connect } from "node:net";
import { expect, test } from "vitest";
import { ExecutorError } from "../../src/core/index.ts";
import type { FakeCall } from "../support/fake-executor.ts";
import { fakeSandbox } from "../support/fake-executor.ts";
import { mutatedRequest, oddRequest } from "../support/hostile-requests.ts";
import type { TestDoor } from "../support/open-test-door.ts";
import { openTestDoor } from "../support/open-test-door.ts";
import type { Random } from "../support/random.ts";
import { random } from "../support/random.ts";
import { openRawConnection } from "../support/raw-connection.ts";

const SEED = Number(process.env["HEARTH_FUZZ_SEED"] ?? 20_261_121);
const SIDE_BY_SIDE = 32;

test.each([
  ["mutated", mutatedRequest],
  ["generated", oddRequest],
])(
  "R: 5 000 %s requests are each answered with a body or closed, and none harms the door",
  async (_, make) => {
    await using door = await openTestDoor({
      limits: { headerTimeoutMs: 2000, bodyTimeoutMs: 2000, activeRuns: 10_000 },
    });
    door.executor.script = answerOnceRead;
    door.executor.list = [fakeSandbox("s1")];
    const dice = random(SEED);
    const statuses = new Map<string, number>();
    await Promise.all(
      Array.from({ length: SIDE_BY_SIDE }, async () => {
        for (let i = 0; i < Math.ceil(5000 / SIDE_BY_SIDE); i += 1) {
          const bytes = make(dice);
          const text = await exchange(door, bytes, dice);
          const status = judge(bytes, text);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
        }
      }),
    );
    expect(statuses.get("500"), JSON.stringify([...statuses])).toBeUndefined();
    expect(statuses.get("200")).toBeGreaterThan(100);
    expect(statuses.get("400")).toBeGreaterThan(100);
    expect(door.log.filter(({ event }) => event === "call.failed")).toEqual([]);
    await expect.poll(() => door.counts().open).toBe(0);
    door.executor.unpause();
    expect((await fetch(`${door.url}/v1/calls?image=a`, { method: "POST" })).status).toBe(200);
  },
  300_000,
);

test("B4: of a body of 1 GB no more than the limit and the kernel's buffers is ever taken", async () => {
  const limit = 1024 * 1024;
  await using door = await openTestDoor({ limits: { bodyBytes: limit } });
  for (const framing of ["Content-Length: 1073741824", "Transfer-Encoding: chunked"]) {
    await using client = await openRawConnection(door.port);
    client.write(
      `POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`,
    );
    const block = Buffer.from(`10000\r\n${"x".repeat(65_536)}\r\n`);
    const flow = (): void => {
      while (!client.isClosed && client.socket.writable && client.socket.write(block));
    };
    client.socket.on("drain", flow);
    flow();
    await client.match(/^HTTP\/1\.1 413 /);
    await client.closed();
    expect(client.socket.bytesWritten - client.socket.writableLength).toBeLessThan(limit + 16 * 1024 * 1024);
  }
});

function answerOnceRead(call: FakeCall): void {
  call.input().then(
    () => call.answer("ok"),
    (error: unknown) => call.fail(ExecutorError.from(error)),
  );
}

/** How long a request that may never be complete is left open before its client says that there is no more. */
const GIVE_UP_MS = 100;

/** Sends bytes in one or two pieces, takes the answer, leaves, and waits until the door has closed the connection. */
function exchange(door: TestDoor, bytes: Buffer, dice: Random): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port: door.port, allowHalfOpen: true });
    const patience = setTimeout(() => {
      socket.destroy();
      reject(
        new Error(
          `the door hangs (seed ${SEED}) on ${JSON.stringify(bytes.toString("latin1"))}, after ${text}`,
        ),
      );
    }, 60_000);
    const giveUp = setTimeout(() => socket.end(), GIVE_UP_MS);
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (isWhole(text)) socket.end();
    });
    socket.on("error", () => undefined); // a reset; `close` follows
    socket.on("end", () => socket.end());
    socket.on("close", () => {
      clearTimeout(patience);
      clearTimeout(giveUp);
      resolve(text);
    });
    const cut = dice.isOneIn(4) ? dice.int(bytes.length) : 0;
    if (cut > 0) socket.write(bytes.subarray(0, cut));
    setImmediate(() => socket.write(bytes.subarray(cut)));
  });
}

/** Whether a whole answer is there. */
function isWhole(text: string): boolean {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(text)?.[1];
  return length === undefined ? text.endsWith("0\r\n\r\n") : text.length >= end + 4 + Number(length);
}

/** The status of the first answer, once it is seen to have a body; `closed` if there was no answer at all. */
function judge(bytes: Buffer, text: string): string {
  if (text === "") return "closed";
  const end = text.indexOf("\r\n\r\n");
  const match = /^HTTP\/1\.1 (\d{3})/.exec(text);
  expect(match, `not HTTP: ${text}`).not.toBeNull();
  const status = match?.[1] ?? "";
  const request = bytes.toString("latin1");
  const isBare = status === "204" || status === "100" || /^HEAD /.test(request);
  if (!isBare)
    expect(text.length, `no body for ${JSON.stringify(request)}: ${text}`).toBeGreaterThan(end + 4);
  return status;
}
