import { expect, test } from "vitest";
import type { LogTail, Sandbox, SandboxId } from "../../core/index.ts";
import { asId } from "../../core/index.ts";
import { systemClock } from "../../std/index.ts";
import { LastWords } from "./last-words.ts";

const id = (n: number): SandboxId => asId<"sandbox">(`s${n}`);

function speaking(tailLog: () => Promise<LogTail>): Sandbox {
  return { tailLog } as Partial<Sandbox> as Sandbox;
}

const saying = (text: string): Sandbox => speaking(() => Promise.resolve({ text, isTruncated: false }));

test("what a sandbox printed last is there after it is gone, as much of the end as is asked for", async () => {
  const words = new LastWords(systemClock);
  await words.keep(saying("one\ntwo\n"), id(1));
  expect(words.of(id(1), 100)).toEqual({ text: "one\ntwo\n", isTruncated: false });
  expect(words.of(id(1), 4)).toEqual({ text: "two\n", isTruncated: true });
  expect(words.of(id(2), 100)).toBeUndefined();
});

test("an engine that does not tell, or does not answer, keeps nobody", async () => {
  const words = new LastWords(systemClock);
  await words.keep(
    speaking(() => Promise.reject(new Error("no engine"))),
    id(1),
  );
  await words.keep(
    speaking(() => new Promise(() => undefined)),
    id(2),
  );
  expect([words.of(id(1), 100), words.of(id(2), 100)]).toEqual([undefined, undefined]);
});

test("the oldest are forgotten first", async () => {
  const words = new LastWords(systemClock);
  for (let n = 0; n < 70; n += 1) await words.keep(saying(`${n}`), id(n));
  const kept = Array.from({ length: 70 }, (_, n) => n).filter((n) => words.of(id(n), 10) !== undefined);
  expect(kept).toEqual(Array.from({ length: 64 }, (_, i) => i + 6));
});
