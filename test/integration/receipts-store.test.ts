import { spawnSync } from "node:child_process";
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import libsql from "libsql";
import { expect, test } from "vitest";
import { ExecutorError } from "../../src/core/index.ts";
import { startLocalWriter } from "../../src/drivers/records/chain/local-writer.ts";
import { silentLog } from "../../src/telemetry/index.ts";
import { attempt, exported, plainId } from "../support/attempts.ts";
import { entriesOf, openLog, report, withFolder } from "../support/receipt-log.ts";
import { settle, VirtualClock } from "../support/virtual-clock.ts";

test("a chain goes on in the next life; a life that closed is told from one that was cut off", async () => {
  await withFolder(async (folder) => {
    const first = await openLog(folder);
    first.record(attempt(plainId(1)));
    await first[Symbol.asyncDispose]();
    const second = await openLog(folder);
    second.record(attempt(plainId(2)));
    await second.flush();
    // No dispose: a daemon that is killed closes nothing.
    await using third = await openLog(folder);
    third.record(attempt(plainId(3)));
    await third.flush();
    const lines = await exported(third);
    expect(report(lines)).toMatchObject({ isWhole: true, isComplete: true, attempts: 3, crashes: 1 });
    const types = entriesOf(lines).map(({ type }) => type);
    expect(types).toEqual(["opened", "attempt", "closed", "opened", "attempt", "gap", "opened", "attempt"]);
    await second[Symbol.asyncDispose]();
  });
});

test("a life is in the chain from its start on, and with it whether the one before was cut off", async () => {
  await withFolder(async (folder) => {
    const first = await openLog(folder);
    first.record(attempt(plainId(1)));
    await first.flush();
    // No dispose: a daemon that is killed closes nothing.
    await using second = await openLog(folder);
    await second.flush();
    const lines = await exported(second);
    expect(entriesOf(lines).map(({ type }) => type)).toEqual(["opened", "attempt", "gap", "opened"]);
    expect(report(lines)).toMatchObject({ isWhole: true, isComplete: true, crashes: 1, isAnew: false });
    expect(second.state()).toMatchObject({ written: 0, pending: 0, fault: undefined });
    await first[Symbol.asyncDispose]();
  });
});

test.each(["deleted", "emptied", "without its blocks"])(
  "a chain that was %s while its key stayed begins anew: the log says so once, and the chain for ever",
  async (how) => {
    await withFolder(async (folder) => {
      const file = join(folder, "receipts.db");
      {
        await using log = await openLog(folder);
        log.record(attempt(plainId(1)));
        await log.flush();
        expect(report(await exported(log))).toMatchObject({ isAnew: false });
      }
      if (how === "deleted") await rm(file);
      else if (how === "emptied") {
        await rm(file);
        await writeFile(file, "");
      } else {
        const database = new libsql(file);
        database.exec("DELETE FROM blocks");
        database.close();
      }
      expect(await tellOfTwoLivesAnew(folder)).toEqual(["receipts.anew"]);
    });
  },
);

test("the key is made once, for its owner's eyes only; a chain whose key is gone is set aside", async () => {
  await withFolder(async (folder) => {
    const keyFile = join(folder, "receipts.key");
    const keys: string[] = [];
    for (const id of [1, 2]) {
      await using log = await openLog(folder);
      log.record(attempt(plainId(id)));
      keys.push((await log.key()).publicKey);
    }
    expect(keys[0]).toBe(keys[1]);
    for (const file of ["receipts.key", "receipts.db"]) {
      expect((await stat(join(folder, file))).mode & 0o777, file).toBe(0o600);
    }
    expect(await readFile(keyFile, "utf8")).toContain("PRIVATE KEY");
    await rm(keyFile);
    await using log = await openLog(folder);
    log.record(attempt(plainId(3)));
    await log.flush();
    expect((await log.key()).publicKey).not.toBe(keys[0]);
    expect(report(await exported(log))).toMatchObject({ isWhole: true, isFromStart: true, attempts: 1 });
    expect((await readdir(folder)).filter((name) => name.endsWith(".old"))).toHaveLength(1);
  });
});

test("a store that is no database, or of a later version, loses no call its answer, and is left as it was", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "receipts.db");
    await writeFile(file, "this is not a database, however long it may be ".repeat(50));
    await using log = await openLog(folder);
    log.record(attempt(plainId(1)));
    await log.flush();
    expect(log.state().fault).toBeDefined();
    await expect(log.list({ limit: 1 })).rejects.toMatchObject({ code: "RECORDS_UNAVAILABLE" });
    expect(await readFile(file, "utf8")).toContain("not a database");
  });
  await withFolder(async (folder) => {
    const database = new libsql(join(folder, "receipts.db"));
    database.pragma("user_version = 99");
    database.close();
    await using log = await openLog(folder);
    await expect(log.list({ limit: 1 })).rejects.toMatchObject({ code: "RECORDS_UNAVAILABLE" });
  });
});

test("a disk that does not answer does not keep the daemon from ending", async () => {
  await withFolder(async (folder) => {
    const log = await openLog(folder, {
      startWriter: async (place) => ({
        ...(await startLocalWriter(place)),
        append: () => new Promise(() => undefined),
      }),
    });
    log.record(attempt(plainId(1)));
    await log[Symbol.asyncDispose]();
    expect(log.state()).toMatchObject({ written: 0, pending: 1 });
    await expect(log.list({ limit: 1 })).rejects.toMatchObject({ code: "RECORDS_UNAVAILABLE" });
  });
});

test("a store that does not answer holds up nobody who reads for ever, and each is told why", async () => {
  await withFolder(async (folder) => {
    const never = (): Promise<never> => new Promise(() => undefined);
    const clock = new VirtualClock();
    await using log = await openLog(folder, {
      clock,
      isEnabled: false,
      startWriter: async (place) => {
        const { close } = await startLocalWriter(place);
        return {
          append: never,
          list: never,
          get: never,
          receipt: never,
          beginExport: never,
          exportNext: never,
          close,
        };
      },
    });
    const told: unknown[] = [];
    const reads = [log.list({ limit: 1 }), log.get("x"), log.receipt("x"), exported(log)].map(
      async (read) => await read.catch((error: unknown) => void told.push(error)),
    );
    await settle();
    await expect.poll(() => clock.pendingTimers).toBe(4);
    await clock.advance(9000);
    expect(told).toEqual([]);
    await clock.advance(1000);
    await Promise.all(reads);
    expect(told.map((error) => ExecutorError.from(error).code)).toEqual(Array(4).fill("RECORDS_UNAVAILABLE"));
    expect(ExecutorError.from(told[0]).facts).toMatchObject({
      reason: "the store of receipts does not answer",
    });
    expect(clock.pendingTimers).toBe(0);
  });
});

test("a disk that hangs while it writes holds up nobody who waits for the writing for ever", async () => {
  await withFolder(async (folder) => {
    const clock = new VirtualClock();
    const log = await openLog(folder, {
      clock,
      startWriter: async (place) => ({
        ...(await startLocalWriter(place)),
        append: () => new Promise(() => undefined),
      }),
    });
    log.record(attempt(plainId(1)));
    const flushed = expect(log.flush()).rejects.toMatchObject({ code: "RECORDS_UNAVAILABLE" });
    await clock.advance(10_000);
    await flushed;
    const closed = log[Symbol.asyncDispose]();
    await clock.advance(5000);
    await closed;
  });
});

test("a chain of an earlier form is set aside, whole, and a new one says that it is not the first of its key", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "receipts.db");
    // By another process, as in life: one that was killed, with its last rows in the log beside the file.
    const make = `const database = new (require("libsql"))(${JSON.stringify(file)});
      database.pragma("journal_mode = WAL");
      database.exec("CREATE TABLE blocks (first INTEGER PRIMARY KEY, entries BLOB NOT NULL)");
      database.exec("INSERT INTO blocks VALUES (1, 'a'), (2, 'b'), (3, 'c')");
      database.pragma("user_version = 1");
      process.kill(process.pid, "SIGKILL");`;
    const made = spawnSync(process.execPath, ["-e", make]);
    expect(made.signal).toBe("SIGKILL");
    expect((await stat(`${file}-wal`)).size).toBeGreaterThan(0);
    await (await openLog(folder, { isEnabled: false }))[Symbol.asyncDispose](); // it has its key
    expect(await tellOfTwoLivesAnew(folder)).toEqual(["receipts.renewed"]);
    const [old = ""] = (await readdir(folder)).filter((name) => name.endsWith(".old"));
    const kept = new libsql(join(folder, old));
    expect(kept.prepare("SELECT count(*) AS blocks FROM blocks").get()).toMatchObject({ blocks: 3 });
    kept.close();
  });
});

test("receipts that are off record nothing, and show what there was", async () => {
  await withFolder(async (folder) => {
    {
      await using log = await openLog(folder);
      log.record(attempt(plainId(1)));
    }
    await using log = await openLog(folder, { isEnabled: false });
    log.record(attempt(plainId(2)));
    await log.flush();
    expect(await log.list({ limit: 10 })).toHaveLength(1);
    expect(report(await exported(log))).toMatchObject({ isWhole: true, attempts: 1 });
  });
});

/** Two lives that each record an attempt in a chain that begins anew with them. @returns what the log was told. */
async function tellOfTwoLivesAnew(folder: string): Promise<readonly string[]> {
  const told: string[] = [];
  const log = { ...silentLog, log: (_: unknown, event: string): void => void told.push(event) };
  for (const id of [2, 3]) {
    await using receipts = await openLog(folder, { log });
    receipts.record(attempt(plainId(id)));
    await receipts.flush();
    const found = report(await exported(receipts));
    expect(found).toMatchObject({ isWhole: true, isFromStart: true, isAnew: true, attempts: id - 1 });
  }
  return told;
}
