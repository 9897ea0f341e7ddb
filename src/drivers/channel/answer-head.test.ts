import { expect, test } from "vitest";
import { parseHead } from "./answer-head.ts";

test.each([
  [
    "two Content-Length headers, even equal ones",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
  ],
  ["a Content-Length with two values", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n"],
  ["a signed Content-Length", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n"],
  ["a hexadecimal Content-Length", "HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n"],
  ["an empty Content-Length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n"],
  ["a huge Content-Length", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"],
  [
    "Content-Length beside chunked",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
  ],
  ["chunked twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"],
  ["a coding that is not chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"],
  ["chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
  ["a folded header", "HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\n\r\n"],
  ["a lone CR in a value", "HTTP/1.1 200 OK\r\nA: b\rSet-Cookie: c\r\n\r\n"],
  ["a NUL in a value", "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n"],
  ["a space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n"],
  ["a header without a name", "HTTP/1.1 200 OK\r\n: 5\r\n\r\n"],
  ["a header without a colon", "HTTP/1.1 200 OK\r\nhello\r\n\r\n"],
  ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
  ["HTTP/2", "HTTP/2 200 OK\r\n\r\n"],
  ["a status of two digits", "HTTP/1.1 99 No\r\n\r\n"],
  ["nothing before the empty line", "\r\n\r\n"],
])("refuses %s", (_, text) => {
  expect(() => parseHead(text)).toThrow(expect.objectContaining({ code: "TASK_PROTOCOL" }));
});

test("an answer without a body has none, whatever it announces", () => {
  expect(parseHead("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n")).toMatchObject({
    framing: "none",
    length: 0,
  });
  expect(parseHead("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n")).toMatchObject({
    framing: "none",
  });
});

test.each([
  ["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true],
  ["HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", false],
  ["HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: foo, close\r\n\r\n", false],
  ["HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false],
  ["HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", true],
  ["HTTP/1.1 200 OK\r\n\r\n", false],
])("%j leaves its connection open: %s", (text, isKeepAlive) => {
  expect(parseHead(text).isKeepAlive).toBe(isKeepAlive);
});

test("names are lower-case, values are trimmed, and the server's own idle limit is read", () => {
  const parsed = parseHead(
    "HTTP/1.1 200 OK\r\nContent-TYPE: \t text/plain \r\nKeep-Alive: timeout=5, max=3\n\n",
  );
  expect(parsed.head).toMatchObject({ status: 200, contentType: "text/plain", contentLength: undefined });
  expect(parsed.head.headers[0]).toEqual(["content-type", "text/plain"]);
  expect(parsed.keepAliveMs).toBe(5000);
});
