/** One entry of a queue that this host holds: nobody else may complete it while its lease is renewed. */
export interface Claim {
  /** The stream and the entry's id in it: names the entry on this source. */
  readonly stream: string;
  readonly entryId: string;
  /** The caller's id if the entry has one that is safe to use, else made of the entry's id. */
  readonly jobId: string;
  /** Counts from 1, over all hosts: the fencing token of `commit`. */
  readonly attempt: number;
  /**
   * How many lives of hosts ended while they held it; a hand-back does not count. An own entry counts this host's earlier life
   * too, until `resume` says that its work goes on: so an entry that ends its daemon each time is found out.
   */
  readonly deaths: number;
  /** How many times it was released as `failed`. */
  readonly failures: number;
  /** The entry as it is, unchecked. */
  readonly fields: Readonly<Record<string, string>>;
  /** Whether this very host held it in an earlier life of its daemon: then `attempt` is still the one of that life. */
  readonly isOwn: boolean;
}

/** One event for those who follow jobs: `type` and a JSON object (`contracts/executer-tracker.md` 4.3). */
export interface JobEvent {
  readonly type: string;
  readonly json: Readonly<Record<string, unknown>>;
}

/** What is recorded, once for each job id, when a job is over. */
export interface Completion {
  /** JSON: the result as `hearth queue` and the local API may show it. */
  readonly result: Readonly<Record<string, unknown>>;
  /** Published with the record, in one step. */
  readonly events: readonly JobEvent[];
}

/**
 * `committed`: this attempt is the job's one completion. `recorded`: another one was recorded before; the entry is acknowledged
 * and nothing was published. `lost`: this host no longer holds the entry; nothing was changed.
 */
export type CommitResult = "committed" | "recorded" | "lost";

/** An entry that was put aside because it can not be run. */
export interface DeadLetter {
  /** Its id in the list of the dead. */
  readonly id: string;
  readonly stream: string;
  readonly entryId: string;
  readonly jobId: string;
  readonly reason: string;
  readonly deaths: number;
  readonly atMs: number;
  readonly fields: Readonly<Record<string, string>>;
}

export type SourceState =
  | { readonly type: "connected" }
  /** Trying again by itself. */
  | { readonly type: "away"; readonly reason: string; readonly sinceMs: number }
  /**
   * A stream that cannot be read until somebody repairs it: wrong type, no permission. The others go on. All of them are named where
   * the source as a whole would lose jobs: then nothing is claimed until its own settings are repaired.
   */
  | { readonly type: "broken"; readonly reason: string; readonly stream: string };

/** What a source counted since it was opened, for metrics. */
export interface SourceFigures {
  readonly claimed: number;
  readonly takenOver: number;
  readonly released: number;
  readonly committed: number;
  readonly lost: number;
  readonly deadLettered: number;
  /** Entries that were pending here and are no longer in the stream: trimmed or deleted by somebody. */
  readonly vanished: number;
  readonly reconnects: number;
  /** How often the source came back without what it knew: restarted with no data, or another one was put in its place. */
  readonly emptied: number;
  /** Events and completions that wait for the connection to come back. */
  readonly buffered: number;
}

/**
 * Where jobs come from. At least once delivery, one completion for each job id: a host that lost its lease cannot complete.
 * While the connection is away nothing is lost: `commit` and `publish` wait in a bounded buffer and go out in order, and
 * leases are judged by the source's own clock.
 */
export interface JobSource extends AsyncDisposable {
  readonly state: SourceState;
  readonly figures: SourceFigures;
  /** Whether it has handed out all that this host held in earlier lives and still holds. What else is left of those is nobody's here. */
  readonly hasGivenOwn: boolean;
  /**
   * Entries for this host, at most `count`: first its own of an earlier life, then those handed back and those of the dead whose
   * lease ran out, then new ones, streams taken in turn. An entry whose job has its completion already is acknowledged and not
   * handed out. Waits up to `waitMs` for one; resolves with none on a connection that is away.
   * Rejects with the signal's reason, and then nothing stays claimed that was not handed out.
   */
  claim(count: number, waitMs: number, signal: AbortSignal): Promise<readonly Claim[]>;
  /**
   * What became of an entry with `isOwn`. `goes-on`: its work was found running, and the earlier life's death does not count.
   * `anew`: nothing is left of it; the answer is the claim of the next attempt, which takes the old one's place. `undefined`: it
   * is held no longer. Without this call the claim is good as it is, with the old attempt.
   */
  resume(claim: Claim, how: "goes-on" | "anew"): Promise<Claim | undefined>;
  /**
   * Renews the leases; resolves with those that are held no longer. Called by the host every third of a lease. While the
   * connection is away nothing is known to be lost, and it resolves with none.
   */
  renew(claims: readonly Claim[]): Promise<readonly Claim[]>;
  /**
   * One atomic step: record the result, publish the events, acknowledge. Safe to call again.
   *
   * @throws {@link ExecutorError} QUEUE_UNAVAILABLE when the buffer is full, or the source was closed before it could be said. So
   * do `deadLetter` and `publish`.
   */
  commit(claim: Claim, completion: Completion): Promise<CommitResult>;
  /**
   * Hands entries back at once and without counting a death: any host may claim them the next moment. `failed`: this host began
   * them and could not see them to their end, which is counted; by itself nothing is. `elsewhere`: this host cannot run them, and
   * is not given them again for two leases, unless its daemon begins another life; others are, at once.
   */
  release(claims: readonly Claim[], reason: string, how?: "failed" | "elsewhere"): Promise<void>;
  /** Puts an entry aside with its reason, publishes the events and acknowledges, in one fenced step. */
  deadLetter(claim: Claim, reason: string, events: readonly JobEvent[]): Promise<CommitResult>;
  /**
   * Publishes events that end nothing. With a claim: only while this host holds it, which is what it resolves with, and once for
   * each attempt: what an earlier life of this host has said of it is not said again.
   */
  publish(events: readonly JobEvent[], claim?: Claim): Promise<boolean>;
  /**
   * Hears every message on a job's command lists (`kill`, or whatever was sent) until the signal aborts. Resolves once the lists
   * have been looked at and what had been sent before was heard; while the connection is away that waits. Resolves as well when
   * the signal aborts, and for a host that may not look; never rejects.
   */
  watchCommands(jobId: string, onCommand: (message: string) => void, signal: AbortSignal): Promise<void>;
  /** The oldest first. */
  deadLetters(limit: number, signal: AbortSignal): Promise<readonly DeadLetter[]>;
  /** Puts dead entries back on their streams, all or those named, once each; resolves with how many. */
  replay(ids: readonly string[] | "all", signal: AbortSignal): Promise<number>;
  /** Removes this host from the queue's groups if it holds nothing; `false` if it holds something and stays. */
  leave(signal: AbortSignal): Promise<boolean>;
}

/** What a host has or holds. */
export interface FleetRoom {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly gpuCount: number;
  /** Left out where it is not known, and by earlier versions. */
  readonly diskBytes?: number;
}

/** One host as others see it; gone by itself when it is not renewed. */
export interface FleetHost {
  readonly hostId: string;
  readonly name: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly seenAtMs: number;
  readonly state: "running" | "draining" | "paused";
  readonly labels: Readonly<Record<string, string>>;
  readonly capacity: FleetRoom;
  readonly reserved: FleetRoom;
  /** Jobs that run, and that are claimed and wait. */
  readonly jobs: { readonly running: number; readonly waiting: number };
  /** Keys of the tasks that are warm, as `image isolation`; bounded. */
  readonly warm: readonly string[];
  readonly executerTypes: readonly string[];
}

/** Where hosts tell each other of themselves. */
export interface FleetBoard extends AsyncDisposable {
  /** Resolves once it can be reached. @throws the signal's reason. */
  ready(signal: AbortSignal): Promise<void>;
  publish(host: FleetHost): Promise<void>;
  hosts(signal: AbortSignal): Promise<readonly FleetHost[]>;
  withdraw(hostId: string): Promise<void>;
}
