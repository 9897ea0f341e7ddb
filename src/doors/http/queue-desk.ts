import type { Queue } from "../../contract/v1/queue.ts";
import type { DeadLetter, FleetHost } from "../../core/index.ts";

/** The queue of jobs as this door shows it. Left out where the daemon takes no jobs. */
export interface QueueDesk {
  /** This host's own name among the hosts. */
  readonly hostId: string;
  view(): Queue;
  /** @throws {@link ExecutorError} QUEUE_UNAVAILABLE; the signal's reason. */
  hosts(signal: AbortSignal): Promise<readonly FleetHost[]>;
  /** @throws {@link ExecutorError} QUEUE_UNAVAILABLE; the signal's reason. */
  deadLetters(limit: number, signal: AbortSignal): Promise<readonly DeadLetter[]>;
  /** @throws {@link ExecutorError} QUEUE_UNAVAILABLE; the signal's reason. */
  replay(ids: readonly string[] | "all", signal: AbortSignal): Promise<number>;
}
