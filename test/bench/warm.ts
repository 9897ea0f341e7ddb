import type { Bench, BenchOptions, Row } from "./lib/bench.ts";
import { type BenchDaemon, executionRequest, startBenchDaemon } from "./lib/bench-daemon.ts";
import { cpuTimeUs } from "./lib/cpu-time.ts";
import type { Goal } from "./lib/goal.ts";
import { generator, type LoadResult, load } from "./lib/load.ts";
import { interleave, median, ratio } from "./lib/rounds.ts";

const INPUT = "x".repeat(100);

/** What the project promises of these figures (`docs/performance.md`). */
const GOALS: Readonly<Record<number, Goal>> = {
  1: { added_p50_us: { atMost: 120 } },
  64: { rate_ratio: { atLeast: 0.4, aim: 0.55 } },
};

interface Measured extends LoadResult {
  /** CPU time of the door's process for each call. */
  readonly cpuUs: number;
}

/** The same calls sent straight to a warm task, and through the door. */
export const warm: Bench = {
  name: "warm",
  summary: `100-byte calls to a warm Node task, through the door and straight to it (load by ${generator})`,
  async run(options) {
    await using daemon = await startBenchDaemon();
    const rows: Row[] = [];
    for (const connections of [1, 16, 64, 256]) rows.push(await compare(connections, daemon, options));
    return rows;
  },
};

async function compare(connections: number, daemon: BenchDaemon, { isQuick }: BenchOptions): Promise<Row> {
  const seconds = isQuick ? 1 : 3;
  const send = async (way: "direct" | "door"): Promise<Measured> => {
    const beforeUs = cpuTimeUs(daemon.pid);
    const result = await load(
      way === "direct"
        ? { ...daemon.task, body: INPUT, connections, seconds }
        : { host: "127.0.0.1", port: daemon.port, body: executionRequest(INPUT), connections, seconds },
    );
    return { ...result, cpuUs: (cpuTimeUs(daemon.pid) - beforeUs) / (result.perSecond * seconds) };
  };
  // The first calls meet code that is not compiled yet, and connections that are not open.
  await send("direct");
  await send("door");
  const { direct, door: through } = await interleave(["direct", "door"], isQuick ? 3 : 7, send);
  const of = (results: readonly Measured[], figure: keyof Measured): number[] =>
    results.map((result) => result[figure]);
  const micros = (results: readonly Measured[], figure: keyof Measured): number =>
    Math.round(median(of(results, figure)));
  const goal = GOALS[connections];
  return {
    ...(goal === undefined ? {} : { goal }),
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
