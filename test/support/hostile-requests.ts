import type { Random } from "./random.ts";

const METHODS = ["GET", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "PUT", "TRACE", "post", "BREW", ""];
const TARGETS = [
  "/",
  "/stats",
  "/health",
  "/pause",
  "/unpause",
  "/update-config",
  "/v1/calls",
  "/v1/calls?image=a:1",
  "/v1/calls?image=a:1&cpu=0.5&mem=64",
  "/v1/calls?image=&cpu=NaN&mem=1e99",
  "/v1/calls?image=%00%ff",
  "/v1/runs",
  "/v1/runs/a",
  "/v1/runs/a/answer",
  "/v1/runs/../../etc/passwd",
  "/v1/sandboxes",
  "/v1/sandboxes/s1/logs?tailBytes=-1",
  "/v1/sandboxes/%2e%2e?force=maybe",
  "/v1/waiting",
  "/v1/images/prefetch",
  "/v1/config",
  "/v1/host",
  "/openapi.json",
  "//",
  "*",
  "http://evil.example/",
  "/%",
  "/%ff%fe",
  `/${"a".repeat(3000)}`,
];
const HEADERS = [
  "Content-Type: application/json",
  "Content-Type: text/plain",
  "Content-Type: ;;;",
  "Content-Type:",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: gzip, chunked",
  "Content-Encoding: gzip",
  "Expect: 100-continue",
  "Expect: nothing",
  "Connection: keep-alive",
  "Connection: upgrade",
  "Upgrade: websocket",
  "Origin: http://evil.example",
  "Origin: null",
  "Sec-Fetch-Site: cross-site",
  "Authorization: Bearer x",
  "Idempotency-Key: k",
  "Idempotency-Key: \u0001",
  "Prefer: respond-async",
  "Accept: text/event-stream",
  "Accept: application/x-ndjson",
  "Cookie: a=b",
  "X-Empty:",
  `X-Long: ${"y".repeat(4000)}`,
  "Bad Header: x",
  ": nameless",
];
const BODIES = [
  "",
  "{}",
  "[]",
  "null",
  '"text"',
  '{"id":"a:1","input":"hi"}',
  '{"id":"a:1","resource":{"cpu":0.55,"mem":-1}}',
  '{"id":1e999,"resource":[[[[]]]]}',
  '{"__proto__":{"id":"x"},"constructor":1}',
  '{"cpu":1,"mem":1,"timeout":1e300}',
  '{"image":"a:1","input":{"a":[1,2]}}',
  '{"image":"../..","input":null}',
  '{"id":"\\ud800","input":"\\u0000"}',
  "{".repeat(2000),
  "5\r\nhello\r\n0\r\n\r\n",
  "ffffffffffffffff\r\n",
];

/** A request put together from parts that are each odd in their own way; mostly still HTTP. */
export function oddRequest(random: Random): Buffer {
  const body = random.pick(BODIES);
  const lines = [
    `${random.pick(METHODS)} ${random.pick(TARGETS)} HTTP/1.${random.pick(["1", "1", "1", "0", "9"])}`,
  ];
  if (!random.isOneIn(20))
    lines.push(`Host: ${random.isOneIn(10) ? random.pick(["evil.example", ""]) : "127.0.0.1"}`);
  for (let i = random.int(3); i > 0; i -= 1) lines.push(random.pick(HEADERS));
  if (!random.isOneIn(5)) lines.push(`Content-Length: ${random.isOneIn(10) ? "99999999999" : body.length}`);
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body}`, "latin1");
}

/** A request that a client may really send, with a few bytes changed. */
export function mutatedRequest(random: Random): Buffer {
  let bytes = soundRequest(random);
  for (let i = 1 + random.int(4); i > 0; i -= 1) bytes = mutate(bytes, random);
  return bytes;
}

function soundRequest(random: Random): Buffer {
  const [target, body] = random.pick([
    ["POST /", '{"id":"a:1","resource":{"cpu":1,"mem":128},"input":"hello"}'],
    ["POST /update-config", '{"timeout":1,"cpu":4,"mem":4096}'],
    ["POST /v1/calls?image=a:1", "input"],
    ["POST /v1/runs", '{"image":"a:1","input":"x"}'],
    ["PATCH /v1/config", '{"cpu":2}'],
    ["GET /stats", ""],
    ["GET /v1/host", ""],
    ["POST /unpause", ""],
  ] as const);
  const head = [
    `${target} HTTP/1.1`,
    "Host: 127.0.0.1:2591",
    "Content-Type: application/json",
    `Content-Length: ${body.length}`,
    "Connection: keep-alive",
  ];
  return Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`);
}

function mutate(bytes: Buffer, random: Random): Buffer {
  const at = random.int(bytes.length + 1);
  const end = Math.min(bytes.length, at + 1 + random.int(20));
  switch (random.int(6)) {
    case 0: {
      const copy = Buffer.from(bytes);
      if (at < copy.length) copy[at] = random.int(256);
      return copy;
    }
    case 1:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from([random.int(256)]), bytes.subarray(at)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
    case 4:
      return bytes.subarray(0, Math.max(1, at));
    default: {
      const odd = random.pick([
        "\r\n",
        "\r\n\r\n",
        "\0",
        "\n",
        "999999999999999999999",
        "-1",
        '"',
        "\\u",
        "é",
      ]);
      return Buffer.concat([bytes.subarray(0, at), Buffer.from(odd), bytes.subarray(at)]);
    }
  }
}
