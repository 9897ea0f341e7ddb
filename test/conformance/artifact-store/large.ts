import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { AMPLE, forever, longSource, type StoreKind, type StoreUnderTest } from "./harness.ts";

const MIB = 2 ** 20;
/**
 * How much this process may grow while an object of any size passes. The engine frees buffers when some 32 MiB of them are dead, on a
 * thread of its own, which on a busy machine is a round or two behind.
 */
const GROWTH_BYTES = 128 * MIB;

/** How far the process's memory rises above where it began while `work` runs. */
async function growthDuring(work: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage.rss();
  let most = before;
  const over = new AbortController();
  const watching = (async () => {
    while (!over.signal.aborted) {
      most = Math.max(most, process.memoryUsage.rss());
      await pause(20);
    }
  })();
  try {
    await work();
  } finally {
    over.abort();
    await watching;
  }
  return most - before;
}

export function describeLarge(underTest: () => StoreUnderTest, { largeBytes }: StoreKind): void {
  test(`memory stays flat while ${largeBytes / MIB} MiB are written and read`, async () => {
    const { store } = underTest();
    const hash = createHash("sha256");
    // Code that runs for the first time, and its buffers, are no growth with size.
    await store.write("l/warm", longSource(24 * MIB), AMPLE, forever);
    for await (const _piece of (await store.open("l/warm", undefined, forever)).contents);
    let written = "";
    const writing = await growthDuring(async () => {
      written = (await store.write("l/large", longSource(largeBytes), AMPLE, forever)).sha256;
    });
    let bytes = 0;
    const reading = await growthDuring(async () => {
      for await (const piece of (await store.open("l/large", undefined, forever)).contents) {
        bytes += piece.length;
        hash.update(piece);
      }
    });
    expect(bytes).toBe(largeBytes);
    expect(hash.digest("hex")).toBe(written);
    expect(writing).toBeLessThan(GROWTH_BYTES);
    expect(reading).toBeLessThan(GROWTH_BYTES);
    await store.remove("l/large", forever);
  }, 240_000);
}
