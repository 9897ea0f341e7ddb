import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { poll } from "../../../test/support/poll.ts";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { sweepMarkers } from "./sweep-markers.ts";

test("markers of checks that were cut short go once they are old, and nothing else does", async () => {
  const folder = await mkdtemp(join(tmpdir(), "hearth-markers-"));
  try {
    const clock = new VirtualClock();
    const make = async (name: string, ageS: number): Promise<void> => {
      await writeFile(join(folder, name), "");
      const madeS = clock.wallMs() / 1000 - ageS;
      await utimes(join(folder, name), madeS, madeS);
    };
    await make(".hearth-marker-0a1b2c3d4e5f", 3600);
    await make(".hearth-marker-ffffffffffff", 10);
    await make(".hearth-marker-of-somebody", 3600);
    await mkdir(join(folder, "job1"));
    const swept = sweepMarkers(folder, clock, new AbortController().signal);
    await poll("it waits for the young one", () => clock.pendingTimers === 1 || "not yet");
    expect((await readdir(folder)).sort()).toEqual([
      ".hearth-marker-ffffffffffff",
      ".hearth-marker-of-somebody",
      "job1",
    ]);
    await clock.advance(300_000);
    await swept;
    expect((await readdir(folder)).sort()).toEqual([".hearth-marker-of-somebody", "job1"]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
