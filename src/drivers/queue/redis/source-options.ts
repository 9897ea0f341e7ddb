import type { Clock, Log } from "../../../core/index.ts";
import type { RedisSettings, RedisTimes } from "./settings.ts";

export interface RedisSourceOptions {
  readonly settings: RedisSettings;
  readonly streams: readonly string[];
  readonly group: string;
  /** Our name in the group: the same after a restart, and nobody else's. */
  readonly consumer: string;
  readonly log: Log;
  readonly clock?: Clock;
  readonly times?: Partial<RedisTimes>;
  readonly limits?: Partial<SourceLimits>;
}

export interface SourceLimits {
  /** The stream of events. */
  readonly events: string;
  /** Begins every key that the contract does not name. */
  readonly prefix: string;
  /** Others may take an entry when its host has said nothing for this long. Default 30 s. */
  readonly leaseMs: number;
  /** The same for hosts that keep no leases, such as the original tracker: the longest that a job may run. Default 24 h. */
  readonly strangerMs: number;
  /** How long completions are kept, within which a job is completed once. Default 7 days. */
  readonly keepMs: number;
  /** Whether entries that are over leave their stream. Default yes. */
  readonly trimsDone: boolean;
  /** Whether jobs are taken from a server that may evict keys, and with them who holds what. Default no. */
  readonly allowsEviction: boolean;
  /** About how many events and dead entries are kept. */
  readonly maxEvents: number;
  readonly maxDead: number;
  /** The most that waits here for the connection to come back. */
  readonly maxBuffered: number;
  /** How often one looks for what the dead left; in a cluster also for new entries and what was handed back. Default 0.5 s and 50 ms. */
  readonly pollMs: number;
  readonly clusterPollMs: number;
  /** How long closing waits for what is still to be sent. Default 2 s. */
  readonly flushMs: number;
}

const DAY_MS = 24 * 60 * 60 * 1000;

export const SOURCE_LIMITS: SourceLimits = {
  events: "events",
  prefix: "hearth:",
  leaseMs: 30_000,
  strangerMs: DAY_MS,
  keepMs: 7 * DAY_MS,
  trimsDone: true,
  allowsEviction: false,
  maxEvents: 100_000,
  maxDead: 10_000,
  maxBuffered: 10_000,
  pollMs: 500,
  clusterPollMs: 50,
  flushMs: 2000,
};
