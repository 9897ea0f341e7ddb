import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Log, LogEvent } from "../../src/core/index.ts";
import { asId } from "../../src/core/index.ts";
import { openRunStore } from "../../src/drivers/records/open-run-store.ts";
import { openTaskBook } from "../../src/drivers/records/open-task-book.ts";
import { silentLog } from "../../src/telemetry/index.ts";
import { answered, newRun } from "../conformance/run-store.ts";
import { openSmallDisk, whyNoSmallDisk } from "../support/small-disk.ts";

const reason = whyNoSmallDisk();
const FULL = { code: "DISK_FULL" };

describe.skipIf(reason !== undefined)(reason ?? "records on a full disk", () => {
  test("what was kept before is read by a life that begins on the full disk; what cannot be kept is refused by that name", async () => {
    await using disk = await openSmallDisk(2);
    const file = join(disk.folder, "runs.db");
    const first = openRunStore({ file, nowMs: () => 0, log: silentLog });
    await first.begin(newRun("a"));
    await first.end(asId<"run">("a"), answered("x"));
    await first.begin(newRun("b"));
    await first[Symbol.asyncDispose]();
    disk.fill();

    const told: LogEvent[] = [];
    const log: Log = { log: (_, event) => told.push(event) };
    await using store = openRunStore({ file, nowMs: () => 0, log });
    expect((await store.ended(10)).map(({ runId }) => runId)).toEqual(["a"]);
    expect(new TextDecoder().decode(await store.answer(asId<"run">("a")))).toBe("x");
    expect(await store.running(10)).toEqual([]);
    expect((await store.get(asId<"run">("b")))?.end).toEqual({ type: "lost" });
    expect(await store.get(asId<"run">("c"))).toBeUndefined();
    await expect(store.begin(newRun("c"))).rejects.toMatchObject(FULL);
    expect(told).toEqual(["state.failed"]);

    await disk.free();
    expect(await store.begin(newRun("c"))).toBeUndefined();
    expect((await store.get(asId<"run">("b")))?.end).toEqual({ type: "lost" });
    expect((await store.ended(10)).map(({ runId }) => runId)).toEqual(["b", "a"]);
  });

  test("a store that never was is empty on a full disk", async () => {
    await using disk = await openSmallDisk(1);
    disk.fill();
    await using store = openRunStore({ file: join(disk.folder, "runs.db"), log: silentLog });
    expect([await store.ended(10), await store.running(10)]).toEqual([[], []]);
    expect(await store.get(asId<"run">("a"))).toBeUndefined();
    await expect(store.begin(newRun("a"))).rejects.toMatchObject(FULL);
  });

  test("a disk that fills up under an open store does not keep it from being read, also when something is due to go", async () => {
    await using disk = await openSmallDisk(2);
    let nowMs = 0;
    const limits = { runs: 100, ageMs: 1000, bytes: 1_000_000 };
    const file = join(disk.folder, "runs.db");
    await using store = openRunStore({ file, limits, nowMs: () => nowMs, log: silentLog });
    await store.begin(newRun("a"));
    await store.end(asId<"run">("a"), answered("x"));
    disk.fill();
    nowMs = 10_000;
    // Whether the disk has room left for what is due to go is chance; that reading works is not.
    const seen = await store.ended(10);
    expect(["", "a"]).toContain(seen.map(({ runId }) => runId).join());
    expect((await store.get(asId<"run">("a")))?.runId ?? "a").toBe("a");
    const large = { ...answered("x".repeat(200_000)), endedAtMs: nowMs };
    await store.begin(newRun("b")).catch((error: unknown) => expect(error).toMatchObject(FULL));
    disk.fill();
    await store.end(asId<"run">("b"), large).catch((error: unknown) => expect(error).toMatchObject(FULL));
    await expect(store.begin(newRun("c"))).rejects.toMatchObject(FULL);
    expect(await store.get(asId<"run">("c"))).toBeUndefined();
  });

  test("the book of the web API's tasks names the disk when it cannot be opened", async () => {
    await using disk = await openSmallDisk(1);
    const file = join(disk.folder, "tasks.db");
    const first = await openTaskBook({ file, log: silentLog });
    await first[Symbol.asyncDispose]();
    disk.fill();
    await expect(openTaskBook({ file, log: silentLog })).rejects.toMatchObject(FULL);
  });
});
