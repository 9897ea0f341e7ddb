import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import fc from "fast-check";
import libsql from "libsql";
import { expect, test } from "vitest";
import type { AttemptEntry } from "../../src/core/index.ts";
import { ExecutorError } from "../../src/core/index.ts";
import { startLocalWriter } from "../../src/drivers/records/chain/local-writer.ts";
import { verifyReceipt } from "../../src/std/receipts/index.ts";
import { attempt, exported, heldMeter, plainId, refused } from "../support/attempts.ts";
import { entriesOf, LIMITS, openLog, report, withFolder, withLog } from "../support/receipt-log.ts";

test("an attempt is read as it was told, with its phases, its use and its place", async () => {
  await withLog(async (log) => {
    const start = {
      beganAtMs: 0,
      resolvedAtMs: 20,
      endedAtMs: 100,
      phases: { createMs: 10, startMs: 20, readyMs: 30 },
    };
    const times = { acceptedAtMs: 0, placedAtMs: 101, headAtMs: 110, endedAtMs: 112.5, start };
    const place = { sandboxId: "s", isolation: "gvisor", imageDigest: "sha256:2", start: "cold" } as const;
    log.record(attempt(plainId(1), { times, place, door: "legacy", gpuIds: ["GPU-1"] }));
    const error = new ExecutorError("TASK_EXITED", { exitCode: 7 });
    log.record(attempt("an-allocation/7", { outcome: "failed", error, status: undefined, door: "indexify" }));
    await log.flush();
    expect(await log.get(plainId(1))).toEqual({
      type: "attempt",
      seq: 2,
      id: plainId(1),
      door: "legacy",
      image: "example/task",
      digest: "sha256:2",
      isolation: "gvisor",
      isolationAsked: "default",
      taskKey: attempt("x").taskKey,
      sandbox: "s",
      start: "cold",
      booked: {
        cpuMillis: 1000,
        memoryBytes: 134_217_728,
        gpuIds: ["GPU-1"],
        gpuMemoryBytes: 0,
        network: "default",
      },
      used: { bytesIn: 3, bytesOut: 5, cpuUs: 1500, memoryPeakBytes: 4096, reading: "own" },
      acceptedAtUs: expect.any(Number),
      wallUs: 112_500,
      phasesUs: {
        queued: 21_000,
        pull: 20_000,
        create: 10_000,
        start: 20_000,
        ready: 30_000,
        firstByte: 9000,
        answer: 2500,
      },
      outcome: "answered",
      status: 200,
    });
    expect(await log.get("an-allocation/7")).toMatchObject({ error: "TASK_EXITED", exitCode: 7, seq: 3 });
    expect(await log.get(plainId(2))).toBeUndefined();
  });
});

test("a list is newest first, goes on at a cursor, and has what each filter asks for", async () => {
  await withLog(async (log) => {
    for (let index = 0; index < 25; index += 1) {
      const error = index % 5 === 0 ? new ExecutorError("RUN_TIMEOUT") : undefined;
      log.record(
        attempt(plainId(index), {
          door: index % 2 === 0 ? "legacy" : "stream",
          outcome: error === undefined ? "answered" : "failed",
          status: index % 3 === 0 ? 404 : 200,
          error,
        }),
      );
      if (index % 4 === 0) await log.flush();
    }
    await log.flush();
    const ids = (entries: readonly AttemptEntry[]): number[] => entries.map(({ id }) => Number(id.slice(2)));
    const pages: number[] = [];
    for (let beforeSeq: number | undefined; pages.length < 25; ) {
      const page = await log.list({ limit: 10, beforeSeq });
      pages.push(...ids(page));
      beforeSeq = page.at(-1)?.seq;
    }
    expect(pages).toEqual(Array.from({ length: 25 }, (_, index) => 24 - index));
    expect(ids(await log.list({ limit: 100, door: "stream", outcome: "RUN_TIMEOUT" }))).toEqual([15, 5]);
    expect(ids(await log.list({ limit: 100, outcome: "failed" }))).toEqual([20, 15, 10, 5, 0]);
    expect(await log.list({ limit: 100, outcome: "404" })).toHaveLength(9);
    expect(await log.list({ limit: 100, image: "sha256:1" })).toHaveLength(25);
    expect(await log.list({ limit: 100, image: "example/other" })).toEqual([]);
    expect(await log.list({ limit: 100, isolation: "gvisor" })).toEqual([]);
    const [newest] = await log.list({ limit: 1 });
    const atUs = newest?.acceptedAtUs ?? 0;
    expect(await log.list({ limit: 100, sinceUs: atUs + 10_000_000 })).toEqual([]);
    expect(await log.list({ limit: 100, untilUs: atUs - 10_000_000 })).toEqual([]);
    expect(
      await log.list({ limit: 100, sinceUs: atUs - 10_000_000, untilUs: atUs + 10_000_000 }),
    ).toHaveLength(25);
  });
});

test("W: every receipt proves its entry, and one that was changed anywhere does not", async () => {
  await withLog(async (log) => {
    for (let index = 0; index < 6; index += 1) {
      log.record(attempt(plainId(index)));
      if (index === 2) await log.flush();
    }
    await log.flush();
    const { publicKey } = await log.key();
    for (let index = 0; index < 6; index += 1) {
      const receipt = await log.receipt(plainId(index));
      if (receipt === undefined) throw new Error("there is no receipt");
      expect(verifyReceipt(receipt, publicKey)).toEqual([]);
      expect(verifyReceipt({ ...receipt, entry: { ...receipt.entry, wallUs: 1 } }, publicKey)).not.toEqual(
        [],
      );
      const text = receipt.canonical.replace('"wallUs":5000', '"wallUs":5001');
      const entry = JSON.parse(text) as AttemptEntry;
      expect(verifyReceipt({ ...receipt, entry, canonical: text }, publicKey)).not.toEqual([]);
      expect(verifyReceipt({ ...receipt, checkpoint: { ...receipt.checkpoint, atUs: 1 } })).not.toEqual([]);
    }
    const other = generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" }).x as string;
    const receipt = await log.receipt(plainId(1));
    expect(receipt && verifyReceipt(receipt, other)).toContain("it is of another key");
  });
});

test("W: one changed byte anywhere in the chain is found, whichever it is", async () => {
  await withLog(async (log) => {
    for (let index = 0; index < 12; index += 1) {
      log.record(attempt(plainId(index)));
      if (index % 5 === 0) await log.flush();
    }
    await log.flush();
    const bytes = Buffer.from(`${(await exported(log)).join("\n")}\n`);
    expect(report(bytes)).toMatchObject({ isWhole: true, isComplete: true, attempts: 12, last: 13 });
    fc.assert(
      fc.property(fc.nat(bytes.length - 2), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ change;
        expect(report(changed).isWhole).toBe(false);
      }),
      { numRuns: 1500 },
    );
  });
});

test("W: a tail that was cut off and a middle that was taken out are found, and the first bad place is named", async () => {
  await withLog(async (log) => {
    for (let index = 0; index < 12; index += 1) {
      log.record(attempt(plainId(index)));
      if (index % 3 === 2) await log.flush();
    }
    await log.flush();
    const lines = await exported(log);
    for (let length = 0; length < lines.length; length += 1) {
      expect(report(lines.slice(0, length)).isWhole, `cut after line ${length}`).toBe(false);
    }
    fc.assert(
      fc.property(fc.nat(lines.length - 2), fc.integer({ min: 1, max: lines.length }), (from, count) => {
        const left = lines.filter((_, index) => index < from || index >= from + count);
        expect(report(left).isWhole).toBe(false);
      }),
    );
    const changed = lines.map((line) => line.replace('"seq":6,', '"seq":60,'));
    expect(report(changed).faults[0]?.seq).toBe(6);
    const swapped = [...lines];
    [swapped[2], swapped[3]] = [swapped[3] ?? "", swapped[2] ?? ""];
    expect(report(swapped).isWhole).toBe(false);
    expect(report([...lines, ...lines]).isWhole).toBe(false);
  });
});

test("a part of the chain is whole, and says that it is a part", async () => {
  await withLog(async (log) => {
    for (let index = 0; index < 9; index += 1) {
      log.record(attempt(plainId(index)));
      await log.flush();
    }
    const part = report(await exported(log, { from: 4, to: 6 }));
    expect(part).toMatchObject({
      isWhole: true,
      isComplete: false,
      isFromStart: false,
      first: 4,
      last: 6,
      newest: 10,
    });
    expect(report(await exported(log))).toMatchObject({ isWhole: true, isComplete: true, isFromStart: true });
    expect(report(await exported(log, { from: 50 }))).toMatchObject({
      isWhole: true,
      first: 0,
      isComplete: false,
    });
  });
});

test("what was pruned leaves a chain that is whole, and that says what is gone", async () => {
  await withFolder(async (folder) => {
    const limits = { ...LIMITS, records: 40 };
    await using log = await openLog(folder, { limits });
    for (let index = 0; index < 100; index += 1) {
      log.record(attempt(plainId(index)));
      await log.flush();
    }
    const lines = await exported(log);
    const found = report(lines);
    expect(found).toMatchObject({ isWhole: true, isComplete: true, isFromStart: false });
    expect(found.prunedTo).toBe(found.first - 1);
    expect(found.attempts).toBeGreaterThan(20);
    expect(found.attempts).toBeLessThanOrEqual(41);
    expect(await log.get(plainId(0))).toBeUndefined();
    expect(await log.get(plainId(99))).toBeDefined();
    // Somebody else who drops the oldest block is found out: the chain says where it begins.
    const second = lines.findIndex((line, at) => at > 1 && line.startsWith('{"checkpoint"'));
    expect(report([lines[0] ?? "", ...lines.slice(second)]).isWhole).toBe(false);
  });
});

test("entries that are too old go, whatever their number", async () => {
  await withFolder(async (folder) => {
    {
      await using log = await openLog(folder);
      log.record(attempt(plainId(1)));
    }
    await using log = await openLog(folder, { limits: { ...LIMITS, ageMs: 0 } });
    log.record(attempt(plainId(2)));
    await log.flush();
    expect(await log.get(plainId(1))).toBeUndefined();
    expect(report(await exported(log))).toMatchObject({ isWhole: true, isComplete: true, prunedTo: 3 - 1 });
  });
});

test("refusals beyond a hundred a second are counted, by their code, in the chain", async () => {
  await withLog(async (log) => {
    for (let index = 0; index < 1000; index += 1) {
      log.record(refused(plainId(index), new ExecutorError(index % 2 === 0 ? "PAUSED" : "QUEUE_FULL")));
    }
    await log.flush();
    expect(log.state()).toMatchObject({ written: 100, counted: 900, lost: 0, pending: 0 });
    const lines = await exported(log);
    expect(report(lines)).toMatchObject({ isWhole: true, attempts: 100, refused: 900 });
    expect(entriesOf(lines).find(({ type }) => type === "refused")).toMatchObject({
      counts: { PAUSED: 450, QUEUE_FULL: 450 },
    });
  });
});

test("an attempt waits for its use, and not for ever", async () => {
  await withLog(async (log) => {
    const { meter, tell } = heldMeter();
    const use = { type: "later", meter, wasAlone: true } as const;
    log.record(attempt(plainId(1), { use }));
    const flushed = log.flush();
    tell(42);
    await flushed;
    expect((await log.get(plainId(1)))?.used).toMatchObject({ cpuUs: 42_000, reading: "own" });
    log.record(attempt(plainId(2), { use }));
    await log.flush();
    const used = (await log.get(plainId(2)))?.used;
    expect(used).toEqual({ bytesIn: 3, bytesOut: 5, reading: "none" });
  });
});

test("all who wait for one attempt go on when its use is told, not only the last who came", async () => {
  await withLog(async (log) => {
    const { meter, tell } = heldMeter();
    log.record(attempt(plainId(1), { use: { type: "later", meter, wasAlone: true } }));
    const flushed = [log.flush(), log.flush(), log.flush()];
    tell(42);
    expect((await Promise.allSettled(flushed)).map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "fulfilled",
    ]);
    expect((await log.get(plainId(1)))?.used).toMatchObject({ cpuUs: 42_000 });
  });
});

test("while nothing can be written attempts wait; those beyond a bound are a gap that the chain tells of", async () => {
  await withFolder(async (folder) => {
    const broken = { is: true };
    await using log = await openLog(folder, {
      startWriter: async (place) => {
        const writer = await startLocalWriter(place);
        return {
          ...writer,
          append: (batch) =>
            broken.is ? Promise.reject(new ExecutorError("DISK_FULL")) : writer.append(batch),
        };
      },
    });
    for (let index = 0; index < 40_000; index += 1) log.record(attempt(plainId(index)));
    await log.flush();
    const { lost, pending, fault, written } = log.state();
    expect({ fault, written }).toEqual({ fault: "the disk is full", written: 0 });
    expect(lost + pending).toBe(40_000);
    expect(lost).toBeGreaterThan(0);
    broken.is = false;
    await log.flush();
    expect(log.state()).toMatchObject({ written: pending, lost, pending: 0, fault: undefined });
    const found = report(await exported(log));
    expect(found).toMatchObject({ isWhole: true, attempts: pending, lost });
  });
});

test("W: what somebody changes in the file itself is found when the chain is checked", async () => {
  await withFolder(async (folder) => {
    {
      await using log = await openLog(folder);
      for (let index = 0; index < 5; index += 1) log.record(attempt(plainId(index)));
    }
    const database = new libsql(join(folder, "receipts.db"));
    const { text } = database.prepare("SELECT text FROM blocks WHERE first = 2").get() as { text: Buffer };
    const changed = Buffer.from(text.toString().replace('"cpuUs":1500', '"cpuUs":1501'));
    expect(changed.equals(text)).toBe(false);
    database.prepare("UPDATE blocks SET text = ? WHERE first = ?").run(changed, 2);
    database.close();
    await using log = await openLog(folder);
    const found = report(await exported(log));
    expect(found.isWhole).toBe(false);
    expect(found.faults[0]?.seq).toBe(2);
    // What was not signed when it was written is not signed later either.
    await expect(log.receipt(plainId(0))).rejects.toMatchObject({ code: "RECORDS_UNAVAILABLE" });
  });
});

test("an export of more than one piece, of blocks of several sizes, is whole, and each receipt is of it", async () => {
  await withLog(async (log) => {
    for (const count of [1, 700, 2000, 3]) {
      const { written } = log.state();
      for (let index = 0; index < count; index += 1) log.record(attempt(plainId(written + index)));
      await log.flush();
    }
    const lines = await exported(log);
    expect(report(lines)).toMatchObject({ isWhole: true, isComplete: true, attempts: 2704, last: 2705 });
    for (const index of [0, 1, 513, 700, 701, 2000, 2703]) {
      const receipt = await log.receipt(plainId(index));
      expect(receipt?.entry).toMatchObject({ id: plainId(index), seq: index + 2 });
      expect(report(lines, { receipt })).toMatchObject({ isWhole: true });
    }
    expect(await log.get(plainId(2704))).toBeUndefined();
  });
});
