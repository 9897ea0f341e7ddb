import type { Exposition } from "./exposition.ts";

/** What one of several scrapers saw. */
export interface Seen {
  /** `hearth_calls_total`, of all its labels, in each of its scrapes. */
  readonly calls: readonly number[];
  /** Whatever was less than in its scrape before, or gone, and may only grow. */
  readonly wentBack: readonly string[];
}

/** Several scrapers at once, each of which asks again as soon as it is answered, until the storm ends. */
export interface ScrapeStorm extends AsyncDisposable {
  /** Each of them has been answered. */
  readonly hasBegun: Promise<unknown>;
  /** @throws when one got no answer. */
  end(): Promise<readonly Seen[]>;
}

export function openScrapeStorm(scrapers: readonly (() => Promise<Exposition>)[]): ScrapeStorm {
  let isOver = false;
  const keepAsking = async (ask: () => Promise<Exposition>, first: Promise<Exposition>): Promise<Seen> => {
    let last = await first;
    const calls = [last.sum("hearth_calls_total")];
    const back: string[] = [];
    while (!isOver) {
      const now = await ask();
      calls.push(now.sum("hearth_calls_total"));
      back.push(...wentBack(last, now));
      last = now;
    }
    return { calls, wentBack: back };
  };
  const firsts = scrapers.map((ask) => ask());
  const all = Promise.all(firsts.map((first, index) => keepAsking(scrapers[index]!, first)));
  const end = async (): Promise<readonly Seen[]> => {
    isOver = true;
    return await all;
  };
  return {
    hasBegun: Promise.all(firsts),
    end,
    async [Symbol.asyncDispose]() {
      await end().catch(() => undefined);
    },
  };
}

/** Counters, and the buckets, sums and counts of histograms. */
function wentBack(before: Exposition, now: Exposition): string[] {
  return [...before.samples].flatMap(([key, value]) => {
    const name = key.split("{")[0] ?? "";
    const type = before.types.get(name) ?? before.types.get(name.replace(/_(bucket|sum|count)$/, ""));
    const next = now.samples.get(key);
    if (type === "gauge" || type === undefined || (next !== undefined && next >= value)) return [];
    return [`${key}: ${value}, then ${next}`];
  });
}
