import { expect, test } from "vitest";
import type { LogTail, Sandbox, SandboxId } from "../../core/index.ts";
import { asId } from "../../core/index.ts";
import { systemClock } from "../../std/index.ts";
import type { Speaker } from "./last-words.ts";
import { LastWords } from "./last-words.ts";

const id = (n: number): SandboxId => asId<"sandbox">(`s${n}`);

function speaking(tailLog: () => Promise<LogTail>): Sandbox {
  return { label: "outside", tailLog } as Partial<Sandbox> as Sandbox;
}
const speaker = (n: number, image = "image"): Speaker => ({ sandboxId: id(n), image });

const saying = (text: string): Sandbox => speaking(() => Promise.resolve({ text, isTruncated: false }));

test("what a sandbox printed last is there after it is gone, as much of the end as is asked for", async () => {
  const words = new LastWords(systemClock);
  await words.keep(saying("one\ntwo\n"), speaker(1));
  const whose = { sandboxId: id(1), hasEnded: true };
  expect(words.of(id(1), 100)).toEqual({ text: "one\ntwo\n", isTruncated: false, ...whose });
  expect(words.of(id(1), 4)).toEqual({ text: "two\n", isTruncated: true, ...whose });
  expect(words.of(id(2), 100)).toBeUndefined();
});

test("an engine that does not tell, or does not answer, keeps nobody", async () => {
  const words = new LastWords(systemClock);
  await words.keep(
    speaking(() => Promise.reject(new Error("no engine"))),
    speaker(1),
  );
  await words.keep(
    speaking(() => new Promise(() => undefined)),
    speaker(2),
  );
  expect([words.of(id(1), 100), words.of(id(2), 100)]).toEqual([undefined, undefined]);
});

test("the oldest are forgotten first", async () => {
  const words = new LastWords(systemClock);
  for (let n = 0; n < 70; n += 1) await words.keep(saying(`${n}`), speaker(n));
  const kept = Array.from({ length: 70 }, (_, n) => n).filter((n) => words.of(id(n), 10) !== undefined);
  expect(kept).toEqual(Array.from({ length: 64 }, (_, i) => i + 6));
});

test("by a name the newest that fits is meant: the beginning of an id, an image, its outside name; and by a job's id its last one", async () => {
  const words = new LastWords(systemClock);
  await words.keep(saying("first"), { ...speaker(11, "echo:latest"), jobId: "job" });
  await words.keep(saying("second"), { ...speaker(12, "echo:latest"), jobId: "job" });
  await words.keep({ ...saying("other"), label: "3117" }, speaker(20, "other:1"));
  const called = (text: string): string | undefined => words.called(text, 100)?.text;
  expect(["s1", "s11", "echo", "echo:latest"].map(called)).toEqual(["second", "first", "second", "second"]);
  expect(["s", "other:1", "3117", "s20"].map(called)).toEqual(["other", "other", "other", "other"]);
  expect(["other", "ech", "job", "nobody"].map(called)).toEqual([undefined, undefined, undefined, undefined]);
  expect(words.of("job", 100)?.text).toBe("second");
  expect(words.of("echo", 100)).toBeUndefined();
});
