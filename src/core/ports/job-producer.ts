import type { JobEvent, SourceState } from "./job-source.ts";

/** One event as it was read, with its place in the stream. */
export interface FollowedEvent {
  readonly id: string;
  /** The entry's fields as they are, unchecked. */
  readonly fields: Readonly<Record<string, string>>;
}

/** A request for a stream of jobs: flat texts. */
export interface NewRequest {
  readonly stream: string;
  readonly fields: Readonly<Record<string, string>>;
}

/**
 * The other end of a `JobSource`: puts requests and commands in, and reads what became of them. Every method has a short deadline
 * of its own; what cannot be written now is refused and not kept for later, since a caller waits for it.
 *
 * @throws {@link ExecutorError} QUEUE_UNAVAILABLE.
 */
export interface JobProducer extends AsyncDisposable {
  readonly state: SourceState;
  publish(events: readonly JobEvent[]): Promise<void>;
  /** Event and request in one step. @returns the entry's id. */
  enqueue(request: NewRequest, event: JobEvent): Promise<string>;
  /**
   * Takes a request back that no host has been given yet, and publishes the event, in one step. `false`: somebody has it, or had
   * it, and nothing was changed.
   */
  withdraw(stream: string, entryId: string, event: JobEvent): Promise<boolean>;
  /** Leaves a message for whoever runs the job, or will; it is forgotten by itself after some days. */
  command(jobId: string, message: string): Promise<void>;
  /** Makes the group on each stream, from its beginning; no error where it is there. */
  openGroups(streams: readonly string[], group: string): Promise<void>;
  /**
   * The events after `afterId` (all, without one) and then those that come, until the signal aborts. A connection that breaks is
   * tried again by itself; `restarted` says that the stream is not the one that `afterId` came from, and everything in it is read.
   */
  follow(
    afterId: string | undefined,
    signal: AbortSignal,
  ): AsyncIterable<FollowedEvent | { readonly type: "restarted" }>;
}
