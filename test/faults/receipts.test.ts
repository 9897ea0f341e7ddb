import { mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ChainEntry, Receipt } from "../../src/core/index.ts";
import { makeTaskFolders } from "../support/echo-tasks.ts";
import { scrape } from "../support/exposition.ts";
import { call } from "../support/legacy-call.ts";
import { poll } from "../support/poll.ts";
import { chainOf, receiptOf, verify } from "../support/receipts.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { startDaemon } from "../support/start-daemon.ts";

const LIVES = 4;
const CALLERS = 8;

/** Calls until the daemon is gone. @returns the ids of the runs that were answered. */
async function callUntilGone(daemon: Daemon): Promise<string[]> {
  const answered: string[] = [];
  const caller = async (): Promise<void> => {
    for (let calls = 0; calls < 100_000; calls += 1) {
      try {
        const reply = await call(daemon, "a", "hello");
        answered.push(reply.headers.get("hearth-run-id") ?? "");
      } catch {
        return; // It was killed.
      }
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return answered;
}

function entriesOf(lines: readonly string[]): ChainEntry[] {
  return lines
    .filter((line) => line.startsWith('{"entry"'))
    .map((line) => (JSON.parse(line) as { readonly entry: ChainEntry }).entry);
}

test("W: after kill -9 under load, again and again, the chain goes on, is whole, and holds every receipt that was given out", async () => {
  const stateDir = await mkdtemp(join(tmpdir(), "hr-"));
  await using tasks = await makeTaskFolders(["a"]);
  const given: Receipt[] = [];
  let answered = 0;
  let publicKey = "";
  try {
    for (let life = 0; life < LIVES; life += 1) {
      await using daemon = await startDaemon({ env: tasks.env, stateDir });
      const first = await call(daemon, "a", "hello");
      given.push(await receiptOf(daemon, first.headers.get("hearth-run-id")));
      const work = callUntilGone(daemon);
      await new Promise((resolve) => setTimeout(resolve, 700 + life * 130));
      expect(await daemon.end("SIGKILL")).toBe("SIGKILL");
      answered += (await work).length;
    }
    await using last = await startDaemon({ env: tasks.env, stateDir });
    // Nobody has called it yet: what was cut off is said all the same.
    const lines = await chainOf(last);
    const report = verify(lines);
    publicKey = report.publicKey;
    expect(report).toMatchObject({ isWhole: true, isComplete: true, isFromStart: true, crashes: LIVES });
    const held = new Set(lines);
    for (const { canonical } of given) expect(held.has(`{"entry":${canonical}}`)).toBe(true);
    expect(given).toHaveLength(LIVES);
    expect(verify(lines, { receipt: given[1] }).isWhole).toBe(true);
    // What was under way in the last moments of each life is gone, and nothing more than that.
    expect(report.attempts).toBeGreaterThan(LIVES);
    expect(report.attempts).toBeLessThanOrEqual(answered + LIVES * (CALLERS + 1));
    expect(entriesOf(lines).filter(({ type }) => type === "opened")).toHaveLength(LIVES + 1);
    expect(await last.end("SIGTERM")).toBe(0);
    await using after = await startDaemon({ env: tasks.env, stateDir });
    const key = (await (await fetch(`${after.baseUrl}/v1/receipts/key`)).json()) as { publicKey: string };
    expect(key.publicKey).toBe(publicKey);
    const closed = await chainOf(after);
    expect(verify(closed)).toMatchObject({ isWhole: true, crashes: LIVES });
    expect(
      entriesOf(closed)
        .slice(-2)
        .map(({ type }) => type),
    ).toEqual(["closed", "opened"]);
  } finally {
    await rm(stateDir, { recursive: true, force: true });
  }
});

test("a store that cannot be opened holds up no call and no start; it is said in the log, in the metrics, and receipts come once it can", async () => {
  const stateDir = await mkdtemp(join(tmpdir(), "hr-"));
  await using tasks = await makeTaskFolders(["a"]);
  try {
    // Nothing can be opened where a folder stands.
    await mkdir(join(stateDir, "receipts.db"), { recursive: true });
    await using daemon = await startDaemon({ env: tasks.env, stateDir });
    const ids: (string | null)[] = [];
    for (let round = 0; round < 5; round += 1) {
      const reply = await call(daemon, "a", "hello");
      expect(reply.success).toBe(true);
      ids.push(reply.headers.get("hearth-run-id"));
    }
    await poll("the metrics say so", async () => {
      const { value } = await scrape(daemon.monitorUrl);
      return value("hearth_receipts_up") === 0 || "they do not";
    });
    await poll("the log says so", () => daemon.log().includes("receipts.failed") || "it does not");
    await rm(join(stateDir, "receipts.db"), { recursive: true });
    for (const id of ids) await receiptOf(daemon, id);
    // The store has them before those who count have heard of it.
    await poll("they are counted", async () => {
      const { value } = await scrape(daemon.monitorUrl);
      const told = ["up", "written_total", "lost_total"].map((name) => value(`hearth_receipts_${name}`));
      return told.join() === "1,5,0" || told.join();
    });
    expect(verify(await chainOf(daemon))).toMatchObject({ isWhole: true, attempts: 5, lost: 0 });
    expect((await stat(join(stateDir, "receipts.db"))).mode & 0o077).toBe(0);
    expect((await readdir(stateDir)).filter((name) => name.endsWith(".old"))).toEqual([]);
  } finally {
    await rm(stateDir, { recursive: true, force: true });
  }
});
