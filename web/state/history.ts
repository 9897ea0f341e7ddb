import { signal } from "@preact/signals";
import type { HostEvent, Live } from "../../src/client/index.ts";

/** Ten minutes of samples, one a second. */
const KEPT = 600;

export const FIGURES = [
  "answered",
  "failed",
  "p50",
  "p90",
  "p99",
  "hostCpu",
  "taskCpu",
  "hostMemory",
  "taskMemory",
] as const;
export type Figure = (typeof FIGURES)[number];

/** What a figure was at a time; `null` where nothing is known, which a chart leaves blank. */
export type Series = readonly (number | null)[];

export interface History {
  readonly times: readonly number[];
  readonly figures: Readonly<Record<Figure, Series>>;
}

const EMPTY: History = {
  times: [],
  figures: Object.fromEntries(FIGURES.map((name) => [name, []])) as unknown as History["figures"],
};

/** The last minutes, as long as this page has been open. */
export const history = signal<History>(EMPTY);

export function addSample(live: Live): void {
  const { host } = live;
  const calls = live.type === "sample" ? callsOf(live.events) : undefined;
  add(Date.parse(live.at) / 1000, {
    ...ratesOf(calls),
    ...timesOf(calls),
    hostCpu: host.cpuPercent,
    taskCpu: share(host.reserved.cpuMillis, host.cpuMillis),
    hostMemory: host.memoryPercent,
    taskMemory: share(host.reserved.memoryBytes, host.memoryBytes),
  });
}

/** A time at which the daemon was not heard: lines break there instead of pretending. */
export function addBlank(): void {
  const last = history.value.times.at(-1);
  if (last === undefined) return;
  add(last + 1, Object.fromEntries(FIGURES.map((name) => [name, null])) as Record<Figure, null>);
}

function add(time: number, values: Readonly<Record<Figure, number | null>>): void {
  const { times, figures } = history.value;
  const last = times.at(-1);
  // The daemon's clock may have been set back; a chart wants its times in order.
  if (last !== undefined && time <= last) return;
  history.value = {
    times: [...times, time].slice(-KEPT),
    figures: Object.fromEntries(
      FIGURES.map((name) => [name, [...figures[name], values[name]].slice(-KEPT)]),
    ) as unknown as History["figures"],
  };
}

type Calls = Extract<HostEvent, { type: "calls" }>;

function callsOf(events: readonly HostEvent[]): Calls | undefined {
  return events.findLast((event) => event.type === "calls");
}

/** No event is no call. */
function ratesOf(calls: Calls | undefined): Pick<Record<Figure, number>, "answered" | "failed"> {
  if (calls === undefined) return { answered: 0, failed: 0 };
  const seconds = Math.max(1, calls.intervalMs) / 1000;
  return { answered: calls.answered / seconds, failed: calls.failed / seconds };
}

function timesOf(calls: Calls | undefined): Pick<Record<Figure, number | null>, "p50" | "p90" | "p99"> {
  if (calls === undefined || calls.answered === 0) return { p50: null, p90: null, p99: null };
  const { p50, p90, p99 } = calls.tookMs;
  return { p50, p90, p99 };
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : (part / whole) * 100;
}
