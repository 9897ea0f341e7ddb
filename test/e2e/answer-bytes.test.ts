import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GOLDEN, LARGE, LARGE_MSG, wholeAnswer } from "../support/golden-answers.ts";
import { importImage, taskFiles } from "../support/images.ts";
import { call } from "../support/legacy-call.ts";
import type { HostedDaemon, TestHost } from "../support/open-test-host.ts";
import { openTestHost } from "../support/open-test-host.ts";
import { whyNoEngine } from "../support/private-engine.ts";

const reason = whyNoEngine();
const IMAGE = "hearth-test/bytes:1";
const SMALL = { resource: { cpu: 0.5, mem: 64 } };

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
      const data = [...answers, ["large", LARGE] as const];
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
    }, 180_000);
    afterAll(async () => {
      await daemon[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
    }, 180_000);

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
            text: wholeAnswer(true, msg).toString("latin1"),
          });
          expect(good.headers.get("content-type")).toBe("application/json; charset=utf-8");
        }
      }
    }, 180_000);

    test("M28: a task that answers 500 gives the same bytes but for `success`", async () => {
      for (const [name, [, msg]] of Object.entries(GOLDEN)) {
        const bad = await call(daemon, IMAGE, `bad ${name}`, SMALL);
        expect({ name, text: bad.bytes.toString("latin1") }).toEqual({
          name,
          text: wholeAnswer(false, msg).toString("latin1"),
        });
      }
    });

    test("M28: ten megabytes of all of it are byte-equal to the contract, twice in a row and after a restart", async () => {
      const expected = hash(wholeAnswer(true, LARGE_MSG));
      const seen = [];
      seen.push(await call(daemon, IMAGE, "ok large", SMALL), await call(daemon, IMAGE, "ok large", SMALL));
      await daemon[Symbol.asyncDispose]();
      daemon = await start();
      seen.push(await call(daemon, IMAGE, "ok large", SMALL));
      expect(seen.map(({ bytes }) => hash(bytes))).toEqual([expected, expected, expected]);
    }, 180_000);
  },
);
