import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { METRICS, QUEUE_METRICS } from "../../src/telemetry/metrics/index.ts";
import type { Exposition } from "../support/exposition.ts";
import { scrape } from "../support/exposition.ts";
import { poll } from "../support/poll.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { StreamWorld } from "../support/stream-world.ts";

/** As many jobs run at once as a test here has. */
const AT_ONCE = { HEARTH_STREAM_CONCURRENCY: "3" };

let world: StreamWorld;
let host: Daemon;
beforeEach(async () => {
  world = await StreamWorld.open();
  host = await world.startHost("host", "", { env: AT_ONCE });
  await untilShown("hearth_queue_up", 1);
}, 180_000);
afterEach(async () => await world[Symbol.asyncDispose](), 60_000);

/** Waits until a metric without labels has this value. */
async function untilShown(name: string, value: number, of = host): Promise<Exposition> {
  let seen = await scrape(of.monitorUrl);
  await poll(`${name} is ${value}`, async () => {
    seen = await scrape(of.monitorUrl);
    return seen.value(name) === value || `${seen.value(name)}\n${of.log().slice(-1500)}`;
  });
  return seen;
}

/** Jobs that wait for a file, all of them begun. */
async function runningJobs(count: number): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let at = 0; at < count; at += 1) ids.push(await world.submit("test.talk"));
  await poll("all of them run", async () => {
    const running = (await scrape(host.monitorUrl)).value("hearth_queue_jobs", { step: "running" });
    return running === count || String(running);
  });
  return ids;
}

/** Removes the entries of jobs from their stream, under whoever holds them. */
async function removeEntries(ids: readonly string[]): Promise<void> {
  const rows = (await world.redis.ask("XRANGE", "shell_requests", "-", "+")) as [string, string[]][];
  const entries = rows.filter(([, fields]) => ids.includes(fields[fields.indexOf("id") + 1] ?? ""));
  expect(entries).toHaveLength(ids.length);
  await world.redis.ask("XDEL", "shell_requests", ...entries.map(([entryId]) => entryId));
}

test("X4: where jobs are taken from a queue its metrics are all there from the start, at 0, and in the manual", async () => {
  const fresh = await scrape(host.monitorUrl);
  expect([...fresh.types.keys()]).toEqual([...Object.keys(METRICS), ...Object.keys(QUEUE_METRICS)]);
  const counters = Object.keys(QUEUE_METRICS).filter((name) => name.endsWith("_total"));
  expect(counters.map((name) => [name, fresh.value(name)])).toEqual(counters.map((name) => [name, 0]));
  const doc = readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8");
  for (const name of Object.keys(QUEUE_METRICS)) expect(doc).toContain(`| \`${name}\` |`);
});

test("each entry that cannot be run is counted as put aside, and each job that is done as completed", async () => {
  for (const id of ["../x", "../y", ""])
    await world.add("shell", { id, task_dir: "t/x", method: "test.noop" });
  const good = await world.submit("test.noop");
  expect(await world.ending(good)).toMatchObject({ json: { status: "success" } });
  await untilShown("hearth_queue_committed_total", 1);
  const seen = await untilShown("hearth_queue_dead_lettered_total", 3);
  expect(seen.value("hearth_queue_claimed_total")).toBe(4);
  expect(seen.value("hearth_queue_lost_total")).toBe(0);
});

test("F8: of entries that are deleted under a job that runs each is counted once, whoever finds it", async () => {
  const ids = await runningJobs(3);
  await removeEntries(ids.slice(0, 2));
  await untilShown("hearth_queue_vanished_total", 2);
  for (const id of ids) await writeFile(join(host.stateDir, "jobs", id, "go"), "");
  for (const id of ids) expect(await world.ending(id)).toMatchObject({ json: { status: "success" } });
  const after = await untilShown("hearth_queue_committed_total", 3);
  expect(after.value("hearth_queue_vanished_total")).toBe(2);
  expect(await world.pending()).toBe(0);
});

test("F8: entries that are deleted after their host has died are counted by whoever looks after them, and block nobody", async () => {
  const ids = await runningJobs(3);
  await host.end("SIGKILL");
  await removeEntries(ids.slice(0, 2));
  const other = await world.startHost("other", "", { env: AT_ONCE });
  await untilShown("hearth_queue_vanished_total", 2, other);
  const seen = await untilShown("hearth_queue_taken_over_total", 1, other);
  expect(seen.value("hearth_queue_vanished_total")).toBe(2);
});

test("F3: while Redis is away its metric says so; that it came back empty is counted once, and new jobs flow", async () => {
  const [id = ""] = await runningJobs(1);
  await world.redis.stop("SIGKILL");
  const away = await untilShown("hearth_queue_up", 0);
  expect(away.value("hearth_queue_emptied_total")).toBe(0);
  await writeFile(join(host.stateDir, "jobs", id, "go"), "");
  await poll("its end waits for Redis", async () => {
    const waiting = (await scrape(host.monitorUrl)).value("hearth_queue_buffered");
    return waiting > 0 || String(waiting);
  });
  await world.redis.start();
  await untilShown("hearth_queue_up", 1);
  const back = await untilShown("hearth_queue_emptied_total", 1);
  expect(back.value("hearth_queue_reconnects_total")).toBeGreaterThan(0);
  expect(await world.ending(id)).toMatchObject({ json: { status: "success" } });
  const next = await world.submit("test.noop");
  expect(await world.ending(next)).toMatchObject({ json: { status: "success" } });
  await untilShown("hearth_queue_buffered", 0);
  expect((await scrape(host.monitorUrl)).value("hearth_queue_emptied_total")).toBe(1);
  expect(host.log().split('"queue.emptied"')).toHaveLength(2);
});

test("a stream that is no stream is trouble of the queue until it is one again", async () => {
  await world.redis.ask("DEL", "shell_requests");
  await world.redis.ask("SET", "shell_requests", "no stream");
  await untilShown("hearth_queue_up", 0);
  await world.redis.ask("DEL", "shell_requests");
  await untilShown("hearth_queue_up", 1);
});
