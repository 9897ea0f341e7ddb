import type { ErrorCode } from "../errors.ts";
import type { CallEnd } from "../ports/observer.ts";
import type { RunPlacement } from "../ports/records.ts";
import type { IsolationClass } from "../task/isolation.ts";

/** The ways in, as receipts name them: the contract's own paths, `/v1`, jobs over a stream, and allocations of Indexify. */
export const ATTEMPT_DOORS = ["legacy", "v1", "stream", "indexify"] as const;
export type AttemptDoor = (typeof ATTEMPT_DOORS)[number];

/**
 * Where the time of an attempt went, in this order; whole microseconds. One that is left out took none. Their sum is `wallUs`.
 * `queued`: waiting for room, for a slot, or for a frozen sandbox to wake. `pull` to `ready`: what it waited for of a start.
 * `firstByte`: from the request handed to the task to the head of its answer. `answer`: until the answer's last byte. Of an
 * allocation these two are the run of its function, and what is left to do for its outcome.
 */
export const ATTEMPT_PHASES = ["queued", "pull", "create", "start", "ready", "firstByte", "answer"] as const;
export type AttemptPhase = (typeof ATTEMPT_PHASES)[number];
export type PhasesUs = Partial<Readonly<Record<AttemptPhase, number>>>;

/**
 * How the use of an attempt was found. `own`: its sandbox's counters before and after, with no other call in it. `shared`: other
 * calls ran in it meanwhile, or ended before the counters were read again; the difference is shared out by the time that each
 * ran. `none`: the counters could not be read, or nobody can tell whose part is whose.
 */
export const READINGS = ["own", "shared", "none"] as const;
export type Reading = (typeof READINGS)[number];

/** What an attempt may have. */
export interface Booked {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  /** The cards that its sandbox held, by UUID. */
  readonly gpuIds: readonly string[];
  /** Of each of them; 0 stands for whole cards. */
  readonly gpuMemoryBytes: number;
  /** As asked for; `default` stands for the operator's setting. */
  readonly network: string;
}

export interface Used {
  /** Of the request's body, and of the answer's; of an allocation, of what it was given to read and of the blobs that it wrote. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** CPU time of all processes of its sandbox, in microseconds. Left out where it is not known. */
  readonly cpuUs?: number;
  /** The most that its sandbox had held until then, as its cgroup counts it. Left out where it is not known. */
  readonly memoryPeakBytes?: number;
  readonly reading: Reading;
}

/** One attempt, as the chain keeps it. What is left out did not happen or is not known. */
export interface AttemptEntry {
  readonly type: "attempt";
  /** Its place in the chain, from 1, without a gap. Attempts stand in the order in which they ended. */
  readonly seq: number;
  /** What the answer's `Hearth-Run-Id` said, or what the door calls it. */
  readonly id: string;
  readonly door: AttemptDoor;
  readonly image: string;
  /** The content that ran. */
  readonly digest?: string;
  readonly isolationAsked: string;
  /** The class reached. */
  readonly isolation?: IsolationClass;
  /** What makes two attempts meet the same warm sandboxes. */
  readonly taskKey: string;
  readonly sandbox?: string;
  readonly start?: RunPlacement["start"];
  readonly booked: Booked;
  readonly used: Used;
  /** Since the epoch, by the wall clock at the time of writing. */
  readonly acceptedAtUs: number;
  readonly wallUs: number;
  readonly phasesUs: PhasesUs;
  readonly outcome: CallEnd;
  /** Of the task's answer. */
  readonly status?: number;
  /** Why it failed; and how its task ended, if that was the reason. */
  readonly error?: ErrorCode;
  readonly exitCode?: number;
  readonly signal?: string;
  /** What else it failed with: see `keptFacts`. */
  readonly facts?: string;
}

/** Why attempts are not in the chain: the writer could not keep up; the store refused them; the daemon ended without closing. */
export const GAP_REASONS = ["overload", "store", "crash"] as const;
export type GapReason = (typeof GAP_REASONS)[number];

/** What the chain keeps besides attempts. `atUs` is since the epoch. */
export type MarkEntry =
  /** A life of the daemon began. `isAnew`: it found a key and no entry; what was recorded under that key before, if anything was, is gone. */
  | {
      readonly type: "opened";
      readonly seq: number;
      readonly atUs: number;
      readonly version: string;
      readonly isAnew?: true;
    }
  /** It stopped as asked: what follows is a new life. */
  | { readonly type: "closed"; readonly seq: number; readonly atUs: number }
  /** Attempts ended before this point and could not be recorded; how many is left out where nobody can know. */
  | {
      readonly type: "gap";
      readonly seq: number;
      readonly atUs: number;
      readonly reason: GapReason;
      readonly lost?: number;
    }
  /** So many calls were refused, by their codes, beyond those with an entry of their own. */
  | {
      readonly type: "refused";
      readonly seq: number;
      readonly atUs: number;
      readonly counts: Readonly<Record<string, number>>;
    }
  /** The oldest entries, up to `last` whose hash was `head`, were dropped to keep within the limits: the chain begins after them. */
  | {
      readonly type: "pruned";
      readonly seq: number;
      readonly atUs: number;
      readonly last: number;
      readonly head: string;
    };

export type ChainEntry = AttemptEntry | MarkEntry;

/** What is signed of a block: that the entries `first` to `last` stand between two hashes. Hashes are hexadecimal. */
export interface Checkpoint {
  /** Names the key: see `chainId`. */
  readonly chain: string;
  readonly first: number;
  readonly last: number;
  /** The hash before `first`; 64 zeros before the first entry of all. */
  readonly prev: string;
  /** The hash of `last`. */
  readonly head: string;
  readonly atUs: number;
}

/** What is signed of an export: that these entries were all that was asked for, and how far the chain went at that time. */
export interface ExportEnd {
  readonly chain: string;
  /** 0 for both if there was no entry. */
  readonly first: number;
  readonly last: number;
  /** The hash of `last`. */
  readonly head: string;
  /** The newest entry of the chain when it was exported. */
  readonly newest: number;
  readonly atUs: number;
}
