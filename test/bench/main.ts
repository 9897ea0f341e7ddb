import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Bench, Row } from "./lib/bench.ts";
import { exitCodeOf } from "./lib/goal.ts";
import { describeMachine } from "./lib/machine.ts";
import { printRows } from "./lib/table.ts";

/** Each is loaded only when it is asked for, so that one that cannot run here does not stop the others. */
const BENCHES: Readonly<Record<string, () => Promise<Bench>>> = {
  warm: async () => (await import("./warm.ts")).warm,
  watched: async () => (await import("./watched.ts")).watched,
  cold: async () => (await import("./cold.ts")).cold,
  many: async () => (await import("./many.ts")).many,
  queue: async () => (await import("./queue.ts")).queue,
  jobs: async () => (await import("./jobs.ts")).jobs,
  allocations: async () => (await import("./allocations.ts")).allocations,
  idle: async () => (await import("./many.ts")).idle,
};

const HELP = `npm run bench [-- [--quick] NAME…]: the parts of performance that the project promises, measured on this machine.
There are: ${Object.keys(BENCHES).join(", ")}. A row with a goal says whether it is met; a missed one makes the exit code 1.
--quick: fewer and shorter rounds, which prove nothing: the exit code is 0 whatever is missed.
`;

if (process.argv.includes("--help")) {
  process.stdout.write(HELP);
  process.exit(0);
}
const names = process.argv.slice(2).filter((word) => !word.startsWith("-"));
const unknown = names.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  process.stderr.write(
    `there is no benchmark ${unknown.join(", ")}; there are: ${Object.keys(BENCHES).join(", ")}\n`,
  );
  process.exit(2);
}
// What is measured is the built daemon, of these sources.
execFileSync(process.execPath, [
  fileURLToPath(new URL("../../scripts/build.mjs", import.meta.url)),
  "--no-types",
]);
process.stdout.write(`${JSON.stringify({ bench: "machine", ...describeMachine() })}\n`);
const isQuick = process.argv.includes("--quick");
const measured: Row[] = [];
for (const [name, open] of Object.entries(BENCHES)) {
  if (names.length > 0 && !names.includes(name)) continue;
  const bench = await open();
  const rows = await bench.run({ isQuick });
  printRows(bench, rows);
  measured.push(...rows);
}
process.exitCode = exitCodeOf(measured, { isQuick });
