import type {
  EngineHealth,
  Host,
  HostEvent,
  Job,
  Live,
  LiveSandbox,
  WaitingCall,
} from "../../client/index.ts";

/** How many seconds of calls the sparkline shows, and how many events are remembered. */
const HISTORY = 60;
const MOST_EVENTS = 50;

/** What is known of the host while it is watched. */
export interface TopState {
  readonly host: Host;
  readonly engine: EngineHealth;
  readonly waiting: readonly WaitingCall[];
  readonly jobs: readonly Job[];
  readonly sandboxes: ReadonlyMap<string, LiveSandbox>;
  /** The daemon's clock, as of the last sample. */
  readonly atMs: number;
  readonly intervalMs: number;
  /** Calls that ended in each of the last intervals, the newest last. */
  readonly callsPerSecond: readonly number[];
  /** Of the last interval in which calls were answered. */
  readonly latency: { readonly p50: number; readonly p99: number } | undefined;
  /** Newest last. */
  readonly events: readonly HostEvent[];
}

/** What a further message of the feed makes of it; `undefined` before the first snapshot. */
export function afterMessage(state: TopState | undefined, live: Live): TopState | undefined {
  const atMs = Date.parse(live.at);
  const figures = { host: live.host, engine: live.engine, waiting: live.waiting, jobs: live.jobs, atMs };
  if (live.type === "snapshot") {
    return {
      ...figures,
      sandboxes: new Map(live.sandboxes.map((one) => [one.id, one])),
      intervalMs: live.intervalMs,
      callsPerSecond: state?.callsPerSecond ?? [],
      latency: state?.latency,
      events: live.events.slice(-MOST_EVENTS),
    };
  }
  if (state === undefined) return undefined;
  const sandboxes = new Map(state.sandboxes);
  for (const one of live.sandboxes.changed) sandboxes.set(one.id, one);
  for (const id of live.sandboxes.gone) sandboxes.delete(id);
  return {
    ...state,
    ...figures,
    sandboxes,
    callsPerSecond: [...state.callsPerSecond, rateOf(live.events, state.intervalMs)].slice(-HISTORY),
    latency: latencyOf(live.events) ?? state.latency,
    events: [...state.events, ...live.events].slice(-MOST_EVENTS),
  };
}

type Calls = Extract<HostEvent, { readonly type: "calls" }>;

function callsOf(events: readonly HostEvent[]): readonly Calls[] {
  return events.filter((event): event is Calls => event.type === "calls");
}

function rateOf(events: readonly HostEvent[], intervalMs: number): number {
  const ended = callsOf(events).reduce((sum, one) => sum + one.answered + one.failed + one.cancelled, 0);
  return (ended * 1000) / intervalMs;
}

function latencyOf(events: readonly HostEvent[]): TopState["latency"] {
  const last = callsOf(events).findLast((one) => one.answered > 0);
  return last === undefined ? undefined : { p50: last.tookMs.p50, p99: last.tookMs.p99 };
}
