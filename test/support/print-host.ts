import { openHostMonitor } from "../../src/drivers/host/index.ts";

/** Prints what the host monitor says in this process, after a second of all the CPU that it may have. */
using monitor = openHostMonitor();
// Two samples apart, the rest spent busily: the monitor looks back on about a second.
for (let round = 0; round < 4; round += 1) {
  const endMs = performance.now() + 500;
  while (performance.now() < endMs);
  await new Promise((resolve) => setTimeout(resolve, 1));
}
console.log(JSON.stringify({ capacity: monitor.capacity, usage: monitor.usage() }));
