import { randomInt } from "node:crypto";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { poll } from "../support/poll.ts";
import { processesLike } from "../support/processes-like.ts";
import { random } from "../support/random.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { StreamWorld } from "../support/stream-world.ts";

const NAMES = ["a", "b", "c"];
const CYCLES_EACH = 20;
/** Each cycle meets jobs that are new, so that none kills an idle host. */
const JOBS_A_CYCLE = 3;
const JOBS_BEFORE = 20;
const JOBS = JOBS_BEFORE + NAMES.length * CYCLES_EACH * JOBS_A_CYCLE;

test("I12: 60 kill cycles under 200 jobs: none lost, none completed twice, no orphan, nothing leaked", async () => {
  await using world = await StreamWorld.open();
  const dice = random(12);
  // In the words of each process of a job, so that it is found wherever it is left.
  const seconds = `0.3${randomInt(1e8, 1e9)}`;
  const text = `mkdir -p output; echo '[]' > output/output.json; sleep ${seconds}`;
  await writeFile(
    join(world.folder, "methods.json"),
    JSON.stringify({ "test.brief": ["/bin/sh", "-c", text] }),
  );
  const ids: string[] = [];
  const submit = async (count: number): Promise<void> => {
    for (let left = count; left > 0; left -= 1) {
      const id = `kill${ids.length}`;
      ids.push(id);
      await world.submit("test.brief", { id });
    }
  };
  await submit(JOBS_BEFORE);
  const settings = { lease_s: 2, max_deaths: 100, fleet_s: 1, concurrency: 2, claim_ahead: 2 };
  const start = async (name: string): Promise<Daemon> =>
    await world.startHost(name, "", { env: envOf(settings), stateDir: join(world.folder, name) });

  const survive = async (name: string): Promise<Daemon> => {
    let host = await start(name);
    for (let cycle = 0; cycle < CYCLES_EACH; cycle += 1) {
      await submit(JOBS_A_CYCLE);
      // Somewhere between its first breath and the middle of its work.
      await new Promise((resolve) => setTimeout(resolve, dice.int(700)));
      await host.end("SIGKILL");
      host = await start(name);
    }
    return host;
  };
  const hosts = await Promise.all(NAMES.map(survive));

  await poll(
    "every job is over",
    async () => {
      const ended = await endedOf(world);
      return ended.size === JOBS || `${ended.size} of ${JOBS}; held: ${JSON.stringify(await world.held())}`;
    },
    240_000,
  );
  const ended = await endedOf(world);
  const twice = [...ended].filter(([, count]) => count > 1);
  expect(ids).toHaveLength(JOBS);
  expect(ids.filter((id) => !ended.has(id))).toEqual([]);
  const unsuccessful = (await world.events()).filter(
    ({ type, json }) => type === "TaskCompleted" && "status" in json && json.status !== "success",
  );
  expect(unsuccessful).toEqual([]);
  expect(twice).toEqual([]);
  await poll("nothing is pending", async () => (await world.pending()) === 0 || "pending");
  expect(await world.redis.ask("XLEN", "shell_requests")).toBe(0);
  for (const host of hosts) {
    await poll("nothing is held", async () => {
      const { reserved } = (await (await fetch(`${host.baseUrl}/v1/host`)).json()) as {
        reserved: { cpuMillis: number };
      };
      const names = await readdir(join(host.stateDir, "jobs"));
      const folders = names.filter((name) => !name.startsWith("."));
      return (
        (reserved.cpuMillis === 0 && folders.length === 0) || `${JSON.stringify(reserved)} ${folders.join()}`
      );
    });
  }
  const started = (await world.events()).filter(({ type }) => type === "TaskStarted").length;
  console.log(`${started} starts for ${JOBS} jobs under ${NAMES.length * CYCLES_EACH} kills`);
  // Else no kill has met a job at work, and nothing was shown.
  expect(started).toBeGreaterThan(JOBS);
  expect(processesLike(seconds)).toEqual([]);
  await Promise.all(hosts.map(async (host) => await host.end("SIGTERM")));
  // A daemon's own helpers end when they find it gone.
  await poll("nothing of any daemon is left", () => {
    const left = processesLike(world.folder).filter((words) => !words.includes("redis-server"));
    return left.length === 0 || left.join();
  });
}, 540_000);

/** How often each job was told as over. */
async function endedOf(world: StreamWorld): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { type, json } of await world.events()) {
    if (type === "TaskCompleted" && "id" in json) counts.set(json.id, (counts.get(json.id) ?? 0) + 1);
  }
  return counts;
}

function envOf(settings: Readonly<Record<string, number>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [`HEARTH_STREAM_${key.toUpperCase()}`, String(value)]),
  );
}
