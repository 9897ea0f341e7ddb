import { readdir, readFile } from "node:fs/promises";
import { expect } from "vitest";
import type { Host } from "../../src/contract/v1/host.ts";
import type { JobList } from "../../src/contract/v1/jobs.ts";
import type { SandboxList } from "../../src/contract/v1/sandboxes.ts";
import { Caller, SECRET_CANARY } from "./caller.ts";
import { poll } from "./poll.ts";
import type { Daemon } from "./start-daemon.ts";

/** What the invariants of the fault matrix are held against. */
export interface Judged {
  readonly daemon: Daemon;
  readonly caller: Caller;
  /** Names or ids of everything of ours that the engine (or the process table) really holds, by the daemon's sandbox ids. */
  realSandboxes(): Promise<readonly string[]>;
}

/**
 * "Heal, drain, then judge": waits until nothing runs or waits, then holds the daemon's word against the world.
 * I1 no call is left hanging; I3 its list is the engine's; I4 its books are the sum of its list; I7 its files are closed;
 * I9 its log shows no defect.
 */
export async function judgeAtRest(
  { daemon, caller, realSandboxes }: Judged,
  before?: Baseline,
): Promise<void> {
  expect(daemon.child.exitCode, daemon.log().slice(-3000)).toBeNull();
  await poll(
    "the daemon is at rest and agrees with the world",
    async () => {
      const host = await caller.get<Host>("/v1/host");
      const running = host.running + host.jobs.running;
      const waiting = host.waiting + host.jobs.waiting;
      if (running + waiting > 0) return `${running} run, ${waiting} wait`;
      const { sandboxes } = await caller.get<SandboxList>("/v1/sandboxes");
      const { jobs } = await caller.get<JobList>("/v1/jobs");
      const real = [...(await realSandboxes())].sort().join(" ");
      const told = [...sandboxes.map(({ id }) => id), ...jobs.map(({ sandboxId }) => sandboxId)]
        .sort()
        .join(" ");
      if (real !== told) return `really there: ${real}; in its list: ${told}`;
      const after = await caller.get<Host>("/v1/host");
      const holders = [...sandboxes, ...jobs];
      const cpu = holders.reduce((sum, { reserved }) => sum + reserved.cpuMillis, 0);
      const memory = holders.reduce((sum, { reserved }) => sum + reserved.memoryBytes, 0);
      const { reserved } = after;
      if (reserved.cpuMillis !== cpu || reserved.memoryBytes !== memory) {
        return `booked ${JSON.stringify(reserved)}, held by its sandboxes ${cpu} and ${memory}`;
      }
      return true;
    },
    60_000,
  );
  // I1: the test awaits every request, so all that is left to count is that none vanished.
  expect(caller.answered + caller.broken).toBe(caller.sent);
  if (before !== undefined) await judgeProcess(daemon, before);
  judgeLog(daemon);
}

/** I9. */
export function judgeLog(daemon: Daemon): void {
  const log = daemon.log();
  for (const bad of [
    /unhandled/i,
    /uncaught/i,
    /assertion/i,
    /"code":"INTERNAL"/,
    new RegExp(SECRET_CANARY),
  ]) {
    const line = log.split("\n").find((text) => bad.test(text));
    expect(line, `the log matches ${bad}`).toBeUndefined();
  }
}

export interface Baseline {
  readonly files: number;
  readonly rssBytes: number;
}

export async function baselineOf({ child }: Daemon): Promise<Baseline> {
  return { files: await countFiles(child.pid ?? 0), rssBytes: await rssOf(child.pid ?? 0) };
}

/** Growth that a garbage collector and lazily loaded code explain; leaks of the rows here are far above. */
const RSS_SLACK_BYTES = 100 * 1_048_576;

/** I7. */
async function judgeProcess({ child }: Daemon, before: Baseline): Promise<void> {
  const pid = child.pid ?? 0;
  await poll("its files are closed", async () => {
    const now = await countFiles(pid);
    return now <= before.files + 2 || `${now} open, ${before.files} before`;
  });
  expect((await rssOf(pid)) - before.rssBytes).toBeLessThan(RSS_SLACK_BYTES);
}

async function countFiles(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

export async function rssOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) * 1024;
}

/** Milliseconds of CPU time that a process has used, all its threads together. */
export async function cpuMsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // Fields 14 and 15 of proc(5), in hundredths of a second.
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** I4, sampled: reads the books every 100 ms until it is stopped, and keeps every sample that breaks their promise. */
export function watchBooks({ daemon }: Pick<Judged, "daemon">): { stop(): Promise<void> } {
  // Its own, so that what it asks is not counted among the test's requests.
  const caller = new Caller(daemon.baseUrl);
  const faults: string[] = [];
  let isStopped = false;
  const watching = (async () => {
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- changed by `stop` between two awaits
    while (!isStopped) {
      const host = await caller.get<Host>("/v1/host").catch(() => undefined);
      if (host !== undefined) {
        const { reserved, capacity } = host;
        const isSound =
          reserved.cpuMillis >= 0 &&
          reserved.memoryBytes >= 0 &&
          reserved.cpuMillis <= capacity.cpuMillis &&
          reserved.memoryBytes <= capacity.memoryBytes;
        if (!isSound) faults.push(JSON.stringify({ reserved, capacity }));
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  return {
    async stop() {
      isStopped = true;
      await watching;
      expect(faults).toEqual([]);
    },
  };
}
