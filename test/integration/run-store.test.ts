import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { RunLimits, RunStore } from "../../src/core/index.ts";
import { asId } from "../../src/core/index.ts";
import { openRunStore } from "../../src/drivers/records/open-run-store.ts";
import { silentLog } from "../../src/telemetry/index.ts";
import { answered, describeRunStore, newRun } from "../conformance/run-store.ts";

describeRunStore("disk", {
  open: async (limits, nowMs) => {
    const folder = await mkdtemp(join(tmpdir(), "hearth-runs-"));
    return ownedBy(folder, openIn(folder, limits, nowMs));
  },
});

test("a run that was running when the daemon died is lost in its next life, and its key stays taken", async () => {
  await withFolder(async (folder) => {
    const first = openIn(folder);
    await first.begin(newRun("a", { key: "k" }));
    await first.begin(newRun("b"));
    await first.end(asId<"run">("b"), answered("x"));
    // No dispose: a daemon that is killed closes nothing.
    await using second = openIn(folder);
    expect((await second.get(asId<"run">("a")))?.end).toEqual({ type: "lost" });
    expect((await second.get(asId<"run">("b")))?.end).toMatchObject({ type: "answered", isKept: true });
    expect((await second.begin(newRun("c", { key: "k" })))?.runId).toBe("a");
    await first[Symbol.asyncDispose]();
  });
});

test("nothing is opened before the first use, and the file is nobody else's to read", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "runs.db");
    await using store = openIn(folder);
    await expect(stat(file)).rejects.toMatchObject({ code: "ENOENT" });
    await store.begin(newRun("a"));
    const names = await readdir(folder);
    expect(names).toContain("runs.db-wal");
    for (const name of names) expect((await stat(join(folder, name))).mode & 0o077, name).toBe(0);
  });
});

test("a file that is no database is an error in our words, and is left as it was", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "runs.db");
    await writeFile(file, "this is not a database, however long it may be ".repeat(50));
    await using store = openIn(folder);
    await expect(store.begin(newRun("a"))).rejects.toMatchObject({ code: "RECORDS_UNAVAILABLE" });
    expect((await stat(file)).size).toBeGreaterThan(1000);
  });
});

function openIn(folder: string, limits?: RunLimits, nowMs: () => number = () => 0): RunStore {
  const file = join(folder, "runs.db");
  return openRunStore({ file, nowMs, log: silentLog, ...(limits === undefined ? {} : { limits }) });
}

function ownedBy(folder: string, store: RunStore): RunStore {
  return Object.assign(store, { [Symbol.asyncDispose]: dispose(folder, store[Symbol.asyncDispose]) });
}

function dispose(folder: string, close: () => PromiseLike<void>): () => Promise<void> {
  return async () => {
    await close();
    await rm(folder, { recursive: true });
  };
}

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "hearth-runs-"));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}
