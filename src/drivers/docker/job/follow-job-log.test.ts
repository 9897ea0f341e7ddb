import { Readable } from "node:stream";
import { expect, test } from "vitest";
import type { Engine } from "../engine/engine.ts";
import { followJobLog } from "./follow-job-log.ts";

const TIME = "2026-01-02T03:04:05.000000001Z";

/** A frame of a container's log: which output, a length, a line with its time. */
function frame(text: string): Buffer {
  const payload = Buffer.from(`${TIME} ${text}`);
  const head = Buffer.alloc(8);
  head[0] = 1;
  head.writeUInt32BE(payload.length, 4);
  return Buffer.concat([head, payload]);
}

/** An engine whose log is `past` when it is asked for, and each of `looks` in turn when it is followed. */
function engineWith(
  past: Buffer,
  looks: (() => Buffer)[],
): { readonly engine: Engine; readonly left: unknown[] } {
  const containers = {
    readLog: () => Promise.resolve(past),
    openLog: () => {
      const look = looks.shift();
      if (look === undefined) throw new Error("nobody needs to look again");
      return Promise.resolve(Readable.from([look()]));
    },
  };
  return { engine: { containers } as unknown as Engine, left: looks };
}

async function textOf(engine: Engine, hasEnded: () => boolean): Promise<string> {
  let text = "";
  const signal = AbortSignal.timeout(30_000);
  for await (const chunk of followJobLog(engine, "c1", 4096, signal, hasEnded)) text += chunk.text;
  return text;
}

test("what a log that ended with its job did not hand out is read after the end, once", async () => {
  let hasEnded = false;
  const ends = (): Buffer => {
    hasEnded = true;
    return Buffer.alloc(0);
  };
  const { engine, left } = engineWith(Buffer.alloc(0), [ends, () => frame("last words")]);
  expect(await textOf(engine, () => hasEnded)).toBe("last words");
  expect(left).toEqual([]);
});

test("of a job that had ended before anybody looked, the log is looked at once; no line comes twice", async () => {
  const { engine, left } = engineWith(frame("all of it"), [() => frame("all of it")]);
  expect(await textOf(engine, () => true)).toBe("all of it");
  expect(left).toEqual([]);
});

test("a log that ends before its job is told to have ended is opened again where it was", async () => {
  let hasEnded = false;
  const second = (): Buffer => {
    hasEnded = true;
    return frame("first");
  };
  const { engine } = engineWith(Buffer.alloc(0), [() => frame("first"), second, () => frame("first")]);
  expect(await textOf(engine, () => hasEnded)).toBe("first");
});
