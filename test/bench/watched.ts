import type { Bench, BenchOptions, Row } from "./lib/bench.ts";
import { type BenchDaemon, executionRequest, startBenchDaemon } from "./lib/bench-daemon.ts";
import { cpuTimeUs } from "./lib/cpu-time.ts";
import { generator, type LoadResult, load } from "./lib/load.ts";
import { openLoopTurns } from "./lib/loop-turns.ts";
import { interleave, median, ratio } from "./lib/rounds.ts";

const INPUT = "x".repeat(100);
/** Sixty times as often as Prometheus does by default; the scraper runs on the same cores, and is not what is measured. */
const SCRAPE_MS = 1000;
/** Scrapers that ask again as soon as they are answered. */
const STORM = 4;

interface Measured extends LoadResult {
  /** CPU time of the daemon for each call, watchers included. */
  readonly cpuUs: number;
}

/** What watching costs those who call. */
export const watched: Bench = {
  name: "watched",
  summary: `100-byte calls to a warm task without receipts while nobody watches, and with receipts while the metrics are scraped every second and the page's streams are open; then how long the event loop comes to no turn while ${STORM} scrapers ask without a pause (load by ${generator})`,
  async run(options) {
    await using alone = await startBenchDaemon({ HEARTH_RECEIPTS_ENABLE: "false" });
    await using seen = await startBenchDaemon();
    const rows: Row[] = [];
    for (const connections of [16, 64])
      rows.push(await compare(connections, { alone, watched: seen }, options));
    return [...rows, await longestBlock(64, options)];
  },
};

/** On a daemon of its own: looking at each turn of the loop costs calls something. */
async function longestBlock(connections: number, { isQuick }: BenchOptions): Promise<Row> {
  await using turns = await openLoopTurns();
  await using daemon = await startBenchDaemon(turns.env);
  const seconds = isQuick ? 1 : 3;
  const { port } = daemon;
  const body = executionRequest(INPUT);
  const send = async (how: "alone" | "scraped") => {
    await using scrapers = how === "scraped" ? storm(daemon.monitorUrl) : undefined;
    await turns.takeLongest();
    const { errors } = await load({ host: "127.0.0.1", port, body, connections, seconds });
    return { ...(await turns.takeLongest()), errors, scrapes: scrapers?.count() ?? 0 };
  };
  await send("alone");
  await send("scraped");
  const { alone, scraped } = await interleave(["alone", "scraped"], isQuick ? 3 : 7, send);
  const own = (rounds: typeof alone): number[] => rounds.map(({ ownMs }) => ownMs);
  return {
    case: `${connections} connections, ${STORM} scrapers`,
    goal: { block_ms: { atMost: 20 } },
    figures: {
      block_ms: Math.max(...own(scraped)),
      usual_block_ms: median(own(scraped)),
      alone_block_ms: Math.max(...own(alone)),
      alone_usual_block_ms: median(own(alone)),
      block_and_wait_ms: Math.max(...scraped.map(({ wholeMs }) => wholeMs)),
      scrapes_per_s: Math.round(median(scraped.map(({ scrapes }) => scrapes)) / seconds),
      errors: [...alone, ...scraped].reduce((sum, { errors }) => sum + errors, 0),
    },
  };
}

async function compare(
  connections: number,
  daemons: Readonly<Record<"alone" | "watched", BenchDaemon>>,
  { isQuick }: BenchOptions,
): Promise<Row> {
  const seconds = isQuick ? 1 : 3;
  const send = async (how: "alone" | "watched"): Promise<Measured> => {
    const daemon = daemons[how];
    await using _watchers = how === "watched" ? watch(daemon.monitorUrl) : undefined;
    const beforeUs = cpuTimeUs(daemon.pid);
    const body = executionRequest(INPUT);
    const result = await load({ host: "127.0.0.1", port: daemon.port, body, connections, seconds });
    return { ...result, cpuUs: (cpuTimeUs(daemon.pid) - beforeUs) / (result.perSecond * seconds) };
  };
  // The first calls meet code that is not compiled yet, and connections that are not open.
  await send("alone");
  await send("watched");
  const { alone, watched: seen } = await interleave(["alone", "watched"], isQuick ? 3 : 7, send);
  const of = (results: readonly Measured[], figure: keyof Measured): number[] =>
    results.map((result) => result[figure]);
  const middle = (results: readonly Measured[], figure: keyof Measured): number =>
    Math.round(median(of(results, figure)));
  return {
    case: `${connections} connections`,
    goal: { rate_ratio: { atLeast: 0.9 } },
    figures: {
      rate_ratio: ratio(of(seen, "perSecond"), of(alone, "perSecond")),
      alone_per_s: middle(alone, "perSecond"),
      watched_per_s: middle(seen, "perSecond"),
      alone_p99_us: middle(alone, "p99Us"),
      watched_p99_us: middle(seen, "p99Us"),
      cpu_ratio: ratio(of(alone, "cpuUs"), of(seen, "cpuUs")),
      alone_cpu_us: median(of(alone, "cpuUs")),
      watched_cpu_us: median(of(seen, "cpuUs")),
      errors: [...alone, ...seen].reduce((sum, { errors }) => sum + errors, 0),
    },
  };
}

/** A scraper and an open page. */
function watch(monitorUrl: string): AsyncDisposable {
  const ending = new AbortController();
  const { signal } = ending;
  const work = Promise.all([
    keepScraping(monitorUrl, signal, () => pause(SCRAPE_MS)),
    ...["/v1/live", "/v1/events"].map((path) => follow(`${monitorUrl}${path}`, signal)),
  ]);
  return {
    async [Symbol.asyncDispose]() {
      ending.abort();
      await work;
    },
  };
}

/** Scrapers without a pause. */
function storm(monitorUrl: string): AsyncDisposable & { count(): number } {
  const ending = new AbortController();
  let count = 0;
  const work = Promise.all(
    Array.from({ length: STORM }, () =>
      keepScraping(monitorUrl, ending.signal, () => {
        count += 1;
      }),
    ),
  );
  return {
    count: () => count,
    async [Symbol.asyncDispose]() {
      ending.abort();
      await work;
    },
  };
}

async function keepScraping(
  monitorUrl: string,
  signal: AbortSignal,
  between: () => void | Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    const answer = await fetch(`${monitorUrl}/metrics`);
    if (!(await answer.text()).includes("hearth_calls_total")) throw new Error("that is no scrape");
    await between();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Reads what comes until the watcher leaves. */
async function follow(url: string, signal: AbortSignal): Promise<void> {
  const answer = await fetch(url, { headers: { accept: "text/event-stream" } });
  if (answer.status !== 200 || answer.body === null) throw new Error(`${url} answers ${answer.status}`);
  const reader = answer.body.getReader();
  signal.addEventListener("abort", () => {
    reader.cancel().catch(() => undefined);
  });
  for (;;) if ((await reader.read()).done) return;
}
