import type { TaskKey } from "../ids.ts";
import type { AttemptTimes } from "../receipts/attempt-times.ts";
import type { AttemptDoor, AttemptEntry, Checkpoint } from "../receipts/entry.ts";
import type { IsolationClass } from "../task/isolation.ts";
import type { TaskSpec } from "../task/task-spec.ts";
import type { CallEnd } from "./observer.ts";
import type { RunPlacement } from "./records.ts";
import type { SandboxUse } from "./sandbox-use.ts";

/** Where an attempt ran. */
export interface AttemptPlace {
  readonly sandboxId: string;
  readonly isolation: IsolationClass;
  readonly imageDigest: string;
  readonly start: RunPlacement["start"];
}

/**
 * What an attempt used of its sandbox. `later`: to be asked of the sandbox's meter, behind the answer. `known`: by whoever
 * records it, from counters of a sandbox that was its own.
 */
export type AttemptUse =
  | { readonly type: "later"; readonly meter: SandboxUse; readonly wasAlone: boolean }
  | { readonly type: "known"; readonly cpuMs: number; readonly memoryPeakBytes: number | undefined };

/** An attempt that has ended, whichever way, as a door's engine tells it. */
export interface AttemptRecord {
  /** As its caller knows it: `nextRunId` or the door's own name for it, which no other attempt of this host may have. */
  readonly id: string;
  readonly door: AttemptDoor;
  readonly task: TaskSpec;
  readonly taskKey: TaskKey;
  /** `undefined`: it never had a place. */
  readonly place: AttemptPlace | undefined;
  /** The cards that its sandbox held, by UUID. */
  readonly gpuIds: readonly string[];
  /** By the clock's milliseconds (`Clock.nowMs`). */
  readonly times: AttemptTimes;
  /** `undefined`: nobody measures or can tell, or it never had a place. */
  readonly use: AttemptUse | undefined;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly outcome: CallEnd;
  /** Of the task's answer, where it has one. */
  readonly status: number | undefined;
  /** Why it failed. Of an `ExecutorError` the short facts are kept as well. */
  readonly error: Error | undefined;
}

/**
 * Takes every attempt once, when it has ended. Never throws, never blocks: it keeps the record and returns. Refusals (no place,
 * `failed`) beyond some hundred a second are counted by their code instead of kept one by one.
 */
export interface ReceiptSink {
  record(attempt: AttemptRecord): void;
}

/** Which attempts are wanted; what is left out is not looked at. All that is given must hold. */
export interface AttemptFilter {
  /** 1 to 1000. */
  readonly limit: number;
  /** Only those that stand before this `seq`: the cursor for the next page is the `seq` of the last one of this page. */
  readonly beforeSeq?: number | undefined;
  /** Accepted at or after, and before; microseconds since the epoch. */
  readonly sinceUs?: number | undefined;
  readonly untilUs?: number | undefined;
  readonly door?: AttemptDoor | undefined;
  /** As asked, or a content's digest. */
  readonly image?: string | undefined;
  /** The class reached. */
  readonly isolation?: IsolationClass | undefined;
  /** `answered`, `failed` or `cancelled`; or one error code (`RUN_TIMEOUT`), or one status (`404`). */
  readonly outcome?: string | undefined;
}

/** An attempt with what proves it, without the rest of the chain. `verifyReceipt` (`std/receipts`) checks it. */
export interface Receipt {
  readonly entry: AttemptEntry;
  /** The entry's canonical text. */
  readonly canonical: string;
  /** Of the block in which it stands. */
  readonly checkpoint: Checkpoint;
  /** When it was given out; microseconds since the epoch. */
  readonly atUs: number;
  /** Of all that is above, by the key that signed the block; base64url. */
  readonly signature: string;
  readonly key: ReceiptKey;
}

/** Who signs, and what the chain is called. */
export interface ReceiptKey {
  readonly algorithm: "Ed25519";
  /** The raw 32 bytes, base64url. */
  readonly publicKey: string;
  /** Names the chain: the first half of the SHA-256 of the raw key, hexadecimal. */
  readonly chain: string;
}

/** How much is kept; the oldest goes first, in whole signed blocks. */
export interface ReceiptLimits {
  readonly records: number;
  readonly ageMs: number;
  readonly bytes: number;
}

/** What the log has come to in this life. */
export interface ReceiptLogState {
  readonly isEnabled: boolean;
  /** Attempts in the chain since the daemon began. */
  readonly written: number;
  /** Attempts that ended and could not be recorded. */
  readonly lost: number;
  /** Refusals that were counted, not recorded one by one. */
  readonly counted: number;
  /** Attempts that are on their way into the chain. */
  readonly pending: number;
  /** Why nothing can be written now. */
  readonly fault: string | undefined;
}

/** Which entries of the chain are wanted, by their `seq`; whole signed blocks that touch the range. Left out: from the oldest, to the newest. */
export interface ChainRange {
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

/**
 * Remembers how every attempt ended, in a signed chain (`docs/receipts.md`). Writing never delays a call and never fails one.
 * An attempt can be read some tenths of a second after its end. What was written before receipts were switched off can still be
 * read. Reading throws {@link ExecutorError} RECORDS_UNAVAILABLE when the store cannot be used.
 */
export interface ReceiptLog extends AsyncDisposable, ReceiptSink {
  state(): ReceiptLogState;
  /** Newest first, by the order in which they ended. */
  list(filter: AttemptFilter): Promise<readonly AttemptEntry[]>;
  get(id: string): Promise<AttemptEntry | undefined>;
  receipt(id: string): Promise<Receipt | undefined>;
  key(): Promise<ReceiptKey>;
  /**
   * The chain as text, in pieces of whole lines with their line ends: a head, then of each block its entries and its checkpoint,
   * then a signed end. `ChainVerifier` (`std/receipts`) checks it.
   */
  lines(range: ChainRange): AsyncIterable<string>;
  /** Resolves when everything that ended before is written, or lost. */
  flush(): Promise<void>;
}

/** What checking a chain has come to; made by `ChainVerifier` (`std/receipts`). */
export interface ChainReport {
  readonly isWhole: boolean;
  /** In the order of the text; at most 20. The first is the first bad place. */
  readonly faults: readonly ChainFault[];
  readonly chain: string;
  readonly publicKey: string;
  /** Whether its key is the one that was known beforehand; otherwise anybody could have made the whole text. */
  readonly isPinned: boolean;
  /** Whether it has every entry of its time, besides those that the chain itself says were dropped for their age or number. */
  readonly isComplete: boolean;
  /** Whether the signed end is there; without it nobody knows how far the chain went. */
  readonly hasEnd: boolean;
  /** Sequence numbers; 0 where there is no entry. */
  readonly first: number;
  readonly last: number;
  /** The newest entry of the chain when it was exported; more than `last` if only a part was asked for. */
  readonly newest: number;
  /** Whether nothing is missing before the first entry: it is the first of the chain. */
  readonly isFromStart: boolean;
  /** Up to which entry the chain itself says that the oldest were dropped; 0: it says nothing of that. */
  readonly prunedTo: number;
  readonly attempts: number;
  /** Attempts that gaps speak of, as far as they are counted. */
  readonly lost: number;
  /** Lives of the daemon that ended without closing the chain: attempts of their last moments may be missing. */
  readonly crashes: number;
  /** The chain was begun by a daemon that found its key, and no entry: what was recorded under that key before is gone. */
  readonly isAnew: boolean;
  /** Calls that were refused and only counted. */
  readonly refused: number;
  /** The hash of the last signed entry. */
  readonly head: string;
  /** When it was exported; 0 if that is not known. */
  readonly signedAtUs: number;
}

/** Where a chain breaks. */
export interface ChainFault {
  /** Of the text, from 1. */
  readonly line: number;
  /** The entry, where it is known which. */
  readonly seq: number | undefined;
  /** A sentence. */
  readonly what: string;
}
