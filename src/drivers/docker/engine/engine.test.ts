import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { Breaker } from "./breaker.ts";
import { parseEngineHost } from "./connection.ts";
import { jsonLines } from "./json-lines.ts";
import { negotiateApi } from "./negotiate.ts";

test.each([
  ["1.41", "1.12", "1.41"],
  ["1.47", "1.24", "1.41"],
  ["1.52", "1.44", "1.44"],
])("C14: an engine that speaks up to %s and down to %s is spoken to in %s", (api, oldestApi, chosen) => {
  expect(negotiateApi({ engine: "x", api, oldestApi })).toBe(chosen);
});

test.each([
  ["1.40", "1.12"],
  ["1.60", "1.53"],
])(
  "C14: an engine with no version in common is refused with both sides' versions (%s, %s)",
  (api, oldestApi) => {
    const refuse = (): string => negotiateApi({ engine: "99.9", api, oldestApi });
    expect(refuse).toThrow(expect.objectContaining({ code: "ENGINE_UNAVAILABLE" }));
    for (const part of [api, oldestApi, "1.41", "1.52", "99.9"]) expect(refuse).toThrow(part);
  },
);

test.each([
  ["unix:///run/docker.sock", { socketPath: "/run/docker.sock", host: undefined }],
  ["/run/docker.sock", { socketPath: "/run/docker.sock" }],
  ["tcp://engine:2375", { host: "engine", port: 2375, protocol: "http", socketPath: undefined }],
  ["https://engine", { host: "engine", port: 2376, protocol: "https" }],
])("an engine's address %s is read", (host, wanted) => {
  expect(parseEngineHost(host, false)).toMatchObject(wanted);
});

test.each(["ssh://engine", "engine", "", "tcp://", "tcp://engine:99999"])(
  "an engine's address %j is refused, by the name of its setting",
  (host) => {
    expect(() => parseEngineHost(host, false)).toThrow(
      expect.objectContaining({
        code: "CONFIG_INVALID",
        message: expect.stringMatching(/, and is ".*" \(field docker\.host\)$/),
      }),
    );
  },
);

test("C3: after two calls without an answer all fail at once, but for one look each second", async () => {
  let nowMs = 0;
  let looks = 0;
  let isAlive = false;
  const breaker = new Breaker(
    () => {
      looks += 1;
      if (!isAlive) {
        breaker.missed();
        return Promise.reject(new Error("no sign of life"));
      }
      breaker.answered();
      return Promise.resolve();
    },
    () => nowMs,
  );
  breaker.missed();
  expect(breaker.isOpen).toBe(false);
  breaker.missed();
  expect(breaker.isOpen).toBe(true);
  for (let index = 0; index < 100; index += 1)
    await expect(breaker.admit("list")).rejects.toThrow(/stopped answering/);
  expect(looks).toBe(0);
  nowMs = 1000;
  await expect(breaker.admit("list")).rejects.toThrow("no sign of life");
  await expect(breaker.admit("list")).rejects.toThrow(/stopped answering/);
  expect(looks).toBe(1);
  nowMs = 2000;
  isAlive = true;
  await Promise.all([breaker.admit("list"), breaker.admit("create")]);
  expect(looks).toBe(2);
  expect(breaker.isOpen).toBe(false);
});

test("JSON lines are read however they are cut, and what is no object is left out", async () => {
  const text = '{"a":"ü"}\n\n[1]\nnonsense\r\n{"b":2}';
  const bytes = Buffer.from(text);
  const chunks = Array.from(bytes, (byte) => Buffer.from([byte]));
  const read: unknown[] = [];
  for await (const line of jsonLines(Readable.from(chunks))) read.push(line);
  expect(read).toEqual([{ a: "ü" }, { b: 2 }]);
});
