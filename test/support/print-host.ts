import { openHostMonitor } from "../../src/drivers/host/index.ts";

/**
 * Prints what the host monitor says in this process, which is busy all the time, and beside it how much CPU this process had of
 * late by its own account: under load it is less than it may have.
 */
using monitor = openHostMonitor();
/** The monitor samples twice a second and looks back on two of its samples, or somewhat more. */
const ROUND_MS = 500;
const LEAST_ROUNDS = 4;
const MOST_ROUNDS = 60;

const looks: { readonly atMs: number; readonly cpuMs: number }[] = [];
let usage = monitor.usage();
let ownCpu = 0;
for (let round = 0; round < MOST_ROUNDS; round += 1) {
  const { user, system } = process.cpuUsage();
  const now = { atMs: performance.now(), cpuMs: (user + system) / 1000 };
  const before = looks.at(-3) ?? now;
  ownCpu = (now.cpuMs - before.cpuMs) / Math.max(1, now.atMs - before.atMs);
  usage = monitor.usage();
  // Two looks back that are not over quite the same time differ where the load changes: then it is looked again.
  const share = (100 * ownCpu * 1000) / monitor.capacity.cpuMillis;
  if (round >= LEAST_ROUNDS && Math.abs(share - usage.cpuPercent) < 15) break;
  looks.push(now);
  const endMs = performance.now() + ROUND_MS;
  while (performance.now() < endMs);
  await new Promise((resolve) => setTimeout(resolve, 1));
}
console.log(JSON.stringify({ capacity: monitor.capacity, usage, ownCpu }));
