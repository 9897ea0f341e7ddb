import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { poll } from "../support/poll.ts";
import { random } from "../support/random.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { StreamWorld } from "../support/stream-world.ts";

const JOBS = 200;
const NAMES = ["a", "b", "c"];
const CYCLES_EACH = 20;

test("I12: 60 kill cycles under 200 jobs: none lost, none completed twice, no orphan, nothing leaked", async () => {
  await using world = await StreamWorld.open();
  const dice = random(12);
  const ids: string[] = [];
  for (let index = 0; index < JOBS; index += 1)
    ids.push(await world.submit("test.count", { id: `kill${index}` }));
  const settings = { lease_s: 2, max_deaths: 100, fleet_s: 1, concurrency: 2, claim_ahead: 2 };
  const start = async (name: string): Promise<Daemon> =>
    await world.startHost(name, "", { env: envOf(settings), stateDir: join(world.folder, name) });

  const survive = async (name: string): Promise<Daemon> => {
    let host = await start(name);
    for (let cycle = 0; cycle < CYCLES_EACH; cycle += 1) {
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
      return ended.size === JOBS || `${ended.size} of ${JOBS}; ${await world.pending()} pending`;
    },
    120_000,
  );
  const ended = await endedOf(world);
  const twice = [...ended].filter(([, count]) => count > 1);
  expect(ids.filter((id) => !ended.has(id))).toEqual([]);
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
  await Promise.all(hosts.map(async (host) => await host.end("SIGTERM")));
  expect(await processesOf(world.folder)).toEqual([]);
}, 420_000);

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

/** Whatever still runs in, or was started with, a folder. */
async function processesOf(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (command.includes(folder) && !command.startsWith("redis-server"))
      found.push(command.replaceAll("\0", " "));
  }
  return found;
}
