import type { ErrorCode } from "../errors.ts";
import type { CallEnd } from "../ports/observer.ts";
import type { RunPlacement } from "../ports/records.ts";
import type { DoorName } from "../settings.ts";
import type { IsolationClass } from "../task/isolation.ts";

/** Where the time of an attempt went, in this order; microseconds. One that is left out took none. Their sum is `wallUs`. */
export const ATTEMPT_PHASES = ["queued", "pull", "create", "start", "ready", "firstByte", "answer"] as const;
export type AttemptPhase = (typeof ATTEMPT_PHASES)[number];
export type PhasesUs = Partial<Record<AttemptPhase, number>>;

/**
 * How the use of an attempt was found. `own`: the sandbox's counters before and after, with no other call in it. `shared`: other
 * calls ran in it meanwhile, or ended before the counters were read again; the difference is shared out by the time that each
 * ran. `none`: the counters could not be read.
 */
export const READINGS = ["own", "shared", "none"] as const;
export type Reading = (typeof READINGS)[number];

/** What an attempt may have. */
export interface Booked {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  /** The cards that its sandbox held, by UUID. */
  readonly gpuIds: readonly string[];
  readonly network: string;
}

export interface Used {
  /** Of the request's body and of the answer's. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Left out where it is not known. */
  readonly cpuUs?: number;
  /** The most that the sandbox had held until then, as its cgroup counts it. */
  readonly memoryPeakBytes?: number;
  readonly reading: Reading;
}

/** One attempt, as the chain keeps it. What is left out did not happen or is not known. */
export interface AttemptEntry {
  readonly kind: "attempt";
  readonly seq: number;
  /** What the answer's `Hearth-Run-Id` said. */
  readonly id: string;
  readonly door: DoorName;
  readonly image: string;
  /** The content that ran. */
  readonly digest?: string;
  readonly isolationAsked: string;
  /** The class reached. */
  readonly isolation?: IsolationClass;
  readonly sandbox?: string;
  readonly start?: RunPlacement["start"];
  readonly booked: Booked;
  readonly used: Used;
  /** Since the epoch. */
  readonly acceptedAtUs: number;
  readonly wallUs: number;
  readonly phasesUs: PhasesUs;
  readonly end: CallEnd;
  /** Of the task's answer. */
  readonly status?: number;
  /** Why it failed; and how its task ended, if that was the reason. */
  readonly error?: ErrorCode;
  readonly exitCode?: number;
  readonly signal?: string;
}

/** What the chain keeps besides attempts. */
export type MarkEntry =
  /** The daemon began to write. */
  | { readonly kind: "opened"; readonly seq: number; readonly atUs: number; readonly version: string }
  /** It stopped as asked: what follows is a new life. */
  | { readonly kind: "closed"; readonly seq: number; readonly atUs: number }
  /** So many attempts ended before this point and could not be recorded. */
  | { readonly kind: "gap"; readonly seq: number; readonly atUs: number; readonly lost: number }
  /** So many calls were refused, beyond those with an entry of their own. */
  | {
      readonly kind: "refused";
      readonly seq: number;
      readonly atUs: number;
      readonly counts: Readonly<Record<string, number>>;
    };

export type ChainEntry = AttemptEntry | MarkEntry;

/** What is signed: that the entries `first` to `last` stand between two hashes. Hashes are hexadecimal. */
export interface Checkpoint {
  /** Names the key: see `chainId`. */
  readonly chain: string;
  readonly first: number;
  readonly last: number;
  readonly prev: string;
  readonly head: string;
  readonly atUs: number;
}
