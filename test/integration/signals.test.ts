import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { listenToSignals } from "../../src/signals.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("A7: a second SIGTERM ends a start that does not obey the first", { timeout: 180_000 }, async () => {
  const child = spawn(process.execPath, ["--import", "tsx", "test/support/stuck-start.ts"], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  try {
    await said(child.stdout, "starting");
    child.kill("SIGTERM");
    await said(child.stdout, "asked");
    expect(child.exitCode).toBeNull();
    child.kill("SIGTERM");
    expect(await ended).toEqual([1, null]);
  } finally {
    child.kill("SIGKILL");
  }
});

test("A7: once the daemon listens, the first wish to stop comes in its turn and the second one forces", async () => {
  using wishes = listenToSignals();
  const heard = wishes.wishes()[Symbol.asyncIterator]();
  const first = heard.next();
  wishes.wish({ type: "reload" });
  expect(await first).toEqual({ done: false, value: { type: "reload" } });
  wishes.wish({ type: "stop" });
  expect(await heard.next()).toEqual({ done: false, value: { type: "stop" } });
  expect(wishes.ended.aborted).toBe(false);
  wishes.wish({ type: "stop" });
  expect(await wishes.forced).toEqual({ type: "stop" });
  expect(wishes.ended.aborted).toBe(true);
  expect((await heard.next()).done).toBe(true);
});

test("A7: a part that fails ends the wishes, and what is asked once after that does not force yet", async () => {
  using wishes = listenToSignals();
  const heard = wishes.wishes()[Symbol.asyncIterator]();
  const first = heard.next();
  wishes.wish({ type: "fail" });
  expect(await first).toEqual({ done: false, value: { type: "fail" } });
  expect((await heard.next()).done).toBe(true);
  wishes.wish({ type: "stop" });
  expect(wishes.ended.aborted).toBe(false);
  wishes.wish({ type: "stop" });
  expect(await wishes.forced).toEqual({ type: "stop" });
});

async function said(stream: Readable, word: string): Promise<void> {
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    if (String(chunk).includes(word)) return;
  }
  throw new Error(`it ended without saying "${word}"`);
}
