import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { importImage, taskFiles } from "../support/images.ts";
import { call } from "../support/legacy-call.ts";
import type { HostedDaemon, TestHost } from "../support/open-test-host.ts";
import { openTestHost } from "../support/open-test-host.ts";
import { whyNoEngine } from "../support/private-engine.ts";

const reason = whyNoEngine();
const IMAGE = "hearth-test/bytes:1";
const SMALL = { resource: { cpu: 0.5, mem: 64 } };

/** What a task answers, and the same between the quotes of `msg`, written out by hand from the contract's words. */
const GOLDEN: Readonly<Record<string, readonly [answer: Buffer, msg: string]>> = {
  nothing: [Buffer.alloc(0), ""],
  plain: [Buffer.from("hello, world"), "hello, world"],
  markup: [Buffer.from("<a href='x'>&amp;</a>"), "\\u003ca href='x'\\u003e\\u0026amp;\\u003c/a\\u003e"],
  separators: [Buffer.from("a\u2028b\u2029c"), "a\\u2028b\\u2029c"],
  quotes: [Buffer.from("\"'`\\/"), "\\\"'`\\\\/"],
  lines: [Buffer.from("a\nb\rc\td\r\n"), "a\\nb\\rc\\td\\r\\n"],
  controls: [
    Buffer.from(Array.from({ length: 32 }, (_, code) => code)),
    "\\u0000\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\u0008\\t\\n\\u000b\\u000c\\r\\u000e\\u000f" +
      "\\u0010\\u0011\\u0012\\u0013\\u0014\\u0015\\u0016\\u0017\\u0018\\u0019\\u001a\\u001b\\u001c\\u001d\\u001e\\u001f",
  ],
  delete: [Buffer.from("\u007f\u0080\u009f"), "\u007f\u0080\u009f"],
  nonAscii: [Buffer.from("äß€ Ωж漢字 👩‍🚀 e\u0301"), "äß€ Ωж漢字 👩‍🚀 e\u0301"],
  mark: [Buffer.from("\ufeffa\ufeff"), "\ufeffa\ufeff"],
  replacement: [Buffer.from("\ufffd"), "\ufffd"],
  notUtf8: [Buffer.from([0x61, 0xff, 0xfe, 0x62, 0x80, 0x63]), "a\ufffd\ufffdb\ufffdc"],
  cutShort: [Buffer.from([0x61, 0xe2, 0x82]), "a\ufffd"],
  overlong: [Buffer.from([0xc0, 0xaf, 0x3c]), "\ufffd\ufffd\\u003c"],
  surrogate: [Buffer.from([0xed, 0xa0, 0x80]), "\ufffd\ufffd\ufffd"],
  json: [Buffer.from('{"a":[1,"<"]}\n'), '{\\"a\\":[1,\\"\\u003c\\"]}\\n'],
};

/** Ten megabytes in which every one of the characters above comes at every alignment. */
const LARGE_UNIT = 'é<>&\u2028"\\\n漢👩 plain text ';
const LARGE_UNIT_MSG = 'é\\u003c\\u003e\\u0026\\u2028\\"\\\\\\n漢👩 plain text ';
const LARGE_COUNT = Math.ceil((10 * 1024 * 1024) / Buffer.byteLength(LARGE_UNIT));

const whole = (success: boolean, msg: string): Buffer =>
  Buffer.from(`{\n    "success": ${success},\n    "msg": "${msg}"\n}`);
const hash = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** Answers with a file as it is: `ok NAME` with status 200, `bad NAME` with 500. */
const REPLY = `case "$body" in
  "ok "*) status="200 OK" ;;
  *) status="500 Oh" ;;
esac
file=/data/\${body#* }
printf 'HTTP/1.1 %s\\r\\nContent-Type: application/octet-stream\\r\\nConnection: close\\r\\nContent-Length: %s\\r\\n\\r\\n' "$status" "$(cat /data/length-\${body#* })"
cat "$file"
exit 0`;

describe.skipIf(reason !== undefined)(
  `the answer's bytes${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    let host: TestHost;
    let daemon: HostedDaemon;
    const start = (): Promise<HostedDaemon> => host.start({ config: "cpu: 1\nmem: 256\n" });

    beforeAll(async () => {
      host = await openTestHost();
      const answers = Object.entries(GOLDEN).map(([name, [answer]]) => [name, answer] as const);
      const data = [...answers, ["large", Buffer.from(LARGE_UNIT.repeat(LARGE_COUNT))] as const];
      const files = data.flatMap(([name, content]) => [
        { path: `data/${name}`, content, mode: 0o644 },
        { path: `data/length-${name}`, content: Buffer.from(String(content.length)), mode: 0o644 },
      ]);
      const program = {
        main: "nc -ll -p 8080 -e /handler & server=$!; echo meca-init-done; wait $server",
        reply: REPLY,
      };
      await importImage(host.docker, IMAGE, [...(await taskFiles(program)), ...files], ["/bin/sh", "/main"]);
      daemon = await start();
    }, 60_000);
    afterAll(async () => {
      await daemon[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
    }, 60_000);

    test("M28: every named kind of text is byte-equal to the contract, twice in a row and after a restart", async () => {
      for (const round of ["first", "second", "after a restart"]) {
        if (round === "after a restart") {
          await daemon[Symbol.asyncDispose]();
          daemon = await start();
        }
        for (const [name, [, msg]] of Object.entries(GOLDEN)) {
          const good = await call(daemon, IMAGE, `ok ${name}`, SMALL);
          expect({ round, name, text: good.bytes.toString("latin1") }).toEqual({
            round,
            name,
            text: whole(true, msg).toString("latin1"),
          });
          expect(good.headers.get("content-type")).toBe("application/json; charset=utf-8");
        }
      }
    });

    test("M28: a task that answers 500 gives the same bytes but for `success`", async () => {
      for (const [name, [, msg]] of Object.entries(GOLDEN)) {
        const bad = await call(daemon, IMAGE, `bad ${name}`, SMALL);
        expect({ name, text: bad.bytes.toString("latin1") }).toEqual({
          name,
          text: whole(false, msg).toString("latin1"),
        });
      }
    });

    test("M28: ten megabytes of all of it are byte-equal to the contract, twice in a row and after a restart", async () => {
      const expected = hash(whole(true, LARGE_UNIT_MSG.repeat(LARGE_COUNT)));
      const seen = [];
      seen.push(await call(daemon, IMAGE, "ok large", SMALL), await call(daemon, IMAGE, "ok large", SMALL));
      await daemon[Symbol.asyncDispose]();
      daemon = await start();
      seen.push(await call(daemon, IMAGE, "ok large", SMALL));
      expect(seen.map(({ bytes }) => hash(bytes))).toEqual([expected, expected, expected]);
    }, 60_000);
  },
);
