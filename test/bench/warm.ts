import { fileURLToPath } from "node:url";
import type { Bench, BenchOptions, Row } from "./lib/bench.ts";
import { bundle } from "./lib/bundle.ts";
import { type BenchChild, startChild } from "./lib/child.ts";
import { cpuTimeUs } from "./lib/cpu-time.ts";
import { generator, type LoadResult, load } from "./lib/load.ts";
import { interleave, median, ratio } from "./lib/rounds.ts";

const INPUT = "x".repeat(100);
const REQUEST = JSON.stringify({ id: "bench/echo:1", resource: { cpu: 1, mem: 128 }, input: INPUT });
const here = (name: string): string => fileURLToPath(new URL(`lib/${name}`, import.meta.url));

interface Measured extends LoadResult {
  /** CPU time of the door's process for each call. */
  readonly cpuUs: number;
}

/** The same calls sent straight to a warm task, and through the door. */
export const warm: Bench = {
  name: "warm",
  summary: `100-byte calls to a warm Node task, through the door and straight to it (load by ${generator})`,
  async run(options) {
    await using task = await startChild([here("echo-task.mjs")]);
    await using door = await startChild([await bundle("door-process.ts")], { TASK_PORT: String(task.port) });
    const rows: Row[] = [];
    for (const connections of [1, 16, 64, 256]) {
      rows.push(await compare(connections, task, door, options));
    }
    return rows;
  },
};

async function compare(
  connections: number,
  task: BenchChild,
  door: BenchChild,
  { isQuick }: BenchOptions,
): Promise<Row> {
  const seconds = isQuick ? 1 : 3;
  const send = async (name: "direct" | "door"): Promise<Measured> => {
    const beforeUs = cpuTimeUs(door.pid);
    const result = await load(
      name === "direct"
        ? { port: task.port, body: INPUT, connections, seconds }
        : { port: door.port, body: REQUEST, connections, seconds },
    );
    return { ...result, cpuUs: (cpuTimeUs(door.pid) - beforeUs) / (result.perSecond * seconds) };
  };
  // The first calls meet code that is not compiled yet, and connections that are not open.
  await send("direct");
  await send("door");
  const { direct, door: through } = await interleave(["direct", "door"], isQuick ? 3 : 7, send);
  const of = (results: readonly Measured[], figure: keyof Measured): number[] =>
    results.map((result) => result[figure]);
  const micros = (results: readonly Measured[], figure: keyof Measured): number =>
    Math.round(median(of(results, figure)));
  return {
    case: `${connections} connections`,
    figures: {
      rate_ratio: ratio(of(through, "perSecond"), of(direct, "perSecond")),
      direct_per_s: micros(direct, "perSecond"),
      door_per_s: micros(through, "perSecond"),
      direct_p50_us: micros(direct, "p50Us"),
      door_p50_us: micros(through, "p50Us"),
      added_p50_us: micros(through, "p50Us") - micros(direct, "p50Us"),
      direct_p99_us: micros(direct, "p99Us"),
      door_p99_us: micros(through, "p99Us"),
      door_cpu_us: median(of(through, "cpuUs")),
      errors: [...direct, ...through].reduce((sum, { errors }) => sum + errors, 0),
    },
  };
}
