import type {
  Claim,
  Completion,
  FleetBoard,
  FleetHost,
  JobEvent,
  JobSource,
} from "../../../src/core/index.ts";

/** The streams of every world. */
export const STREAM_A = "a_requests";
export const STREAM_B = "b_requests";

/** For tests that wait until it is over; whatever else they do may take longer on a busy machine, and they must not mind. */
export const LEASE_MS = 900;
/** No lease runs out while a test lasts. */
export const LONG_LEASE_MS = 600_000;

/** One queue, with nothing in it, and as many hosts as a test opens. */
export interface QueueWorld extends AsyncDisposable {
  /** A host; closed with the world, if not before. Closing gives nothing back: to others it died. */
  open(consumer: string): Promise<JobSource>;
  openFleet(lifeMs: number): Promise<FleetBoard>;
  add(stream: string, fields: Readonly<Record<string, string>>): Promise<string>;
  delete(stream: string, entryId: string): Promise<void>;
  send(jobId: string, message: string): Promise<void>;
  events(): Promise<readonly JobEvent[]>;
  /** How many entries are held, by whomever. */
  held(): Promise<number>;
}

/** @param leaseMs of everything in it; {@link LONG_LEASE_MS} unless given. */
export type OpenQueueWorld = (leaseMs?: number) => Promise<QueueWorld>;

export function signal(): AbortSignal {
  return new AbortController().signal;
}

export async function claimOne(source: JobSource, waitMs = 60_000): Promise<Claim> {
  const [claim] = await source.claim(1, waitMs, signal());
  if (claim === undefined) throw new Error("nothing to claim");
  return claim;
}

export function completed(jobId: string, text = "success"): Completion {
  return { result: { status: text }, events: [{ type: "TaskCompleted", json: { id: jobId, status: text } }] };
}

export function hostNamed(hostId: string): FleetHost {
  return {
    hostId,
    name: hostId,
    version: "1",
    startedAtMs: 1,
    seenAtMs: 2,
    state: "running",
    labels: { zone: "näh" },
    capacity: { cpuMillis: 1000, memoryBytes: 1, gpuCount: 0 },
    reserved: { cpuMillis: 0, memoryBytes: 0, gpuCount: 0 },
    jobs: { running: 0, waiting: 0 },
    warm: [],
    executerTypes: ["gromacs"],
  };
}
