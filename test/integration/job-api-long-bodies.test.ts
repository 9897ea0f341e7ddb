import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type JobApiWorld, openJobApiWorld } from "../support/job-api-world.ts";
import { poll } from "../support/poll.ts";

const MEBIBYTE = 1_048_576;
let world: JobApiWorld;

beforeAll(async () => {
  world = await openJobApiWorld({ uploadBytes: MEBIBYTE });
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

/** Sends all of a request before it looks at the answer, as Python's `urllib` and `requests` do. */
async function sendThenRead(head: readonly string[], body: Uint8Array): Promise<string> {
  const { hostname, port } = new URL(world.api.url);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  let broken: Error | undefined;
  socket.on("error", (error) => {
    broken = error;
  });
  socket.pause();
  socket.write([...head, "Host: localhost", "", ""].join("\r\n"));
  for (let at = 0; at < body.byteLength; at += MEBIBYTE) {
    await new Promise<void>((resolve) => socket.write(body.subarray(at, at + MEBIBYTE), () => resolve()));
    if (broken !== undefined) throw broken;
  }
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  socket.resume();
  await poll("the answer", () => /\r\n\r\n\{.*\}$/s.test(text) || text || String(broken));
  socket.destroy();
  return text;
}

test.each([
  ["with its length", 30],
  ["in chunks", 30],
])("a submission far above the limit is read as a 413, sent %s", async (how, mebibytes) => {
  const bytes = Buffer.alloc(mebibytes * MEBIBYTE, "x");
  const head = ["POST /tasks/submit HTTP/1.1", "X-API-Key: 1234", "Content-Type: application/json"];
  const isChunked = how === "in chunks";
  const answer = isChunked
    ? await sendThenRead(
        [...head, "Transfer-Encoding: chunked"],
        Buffer.concat([
          Buffer.from(`${bytes.byteLength.toString(16)}\r\n`),
          bytes,
          Buffer.from("\r\n0\r\n\r\n"),
        ]),
      )
    : await sendThenRead([...head, `Content-Length: ${bytes.byteLength}`], bytes);
  expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  expect(answer).toContain('{"detail":"the body is above the limit"}');
});

test("whoever has no key reads that it is wrong, however much it sends", async () => {
  const bytes = Buffer.alloc(30 * MEBIBYTE, "x");
  const head = ["POST /tasks/submit HTTP/1.1", "X-API-Key: wrong", "Content-Type: application/json"];
  const answer = await sendThenRead([...head, `Content-Length: ${bytes.byteLength}`], bytes);
  expect(answer).toMatch(/^HTTP\/1\.1 403 /);
});

test("an upload above the limit is read as a 413", async () => {
  const id = await world.client.submit("test.sleep");
  const body = Buffer.concat([
    Buffer.from('--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'),
    Buffer.alloc(30 * MEBIBYTE, "x"),
    Buffer.from("\r\n--x--\r\n"),
  ]);
  const answer = await sendThenRead(
    [
      `POST /tasks/${id}/input HTTP/1.1`,
      "X-API-Key: 1234",
      "Content-Type: multipart/form-data; boundary=x",
      `Content-Length: ${body.byteLength}`,
    ],
    body,
  );
  expect(answer).toMatch(/^HTTP\/1\.1 413 /);
});
