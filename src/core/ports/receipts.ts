import type { AttemptEntry, Checkpoint } from "../receipts/entry.ts";
import type { Observer } from "./observer.ts";

/** Which attempts are wanted. */
export interface AttemptFilter {
  readonly limit: number;
  /** Only those whose id sorts before this one. */
  readonly before?: string | undefined;
  readonly image?: string | undefined;
  /** `answered`, `failed` or `cancelled`; or one error code, or one status. */
  readonly outcome?: string | undefined;
  /** Accepted at or after this time. */
  readonly sinceUs?: number | undefined;
}

/** An attempt with what proves it. */
export interface Receipt {
  readonly entry: AttemptEntry;
  /** The entry's canonical text: what is hashed. */
  readonly canonical: string;
  /** Hash of the entry before it, its own, and (for one that is not the newest) of the one after it; hexadecimal. */
  readonly prev: string;
  readonly hash: string;
  readonly next: string | undefined;
  /** The digests of the entries between it and the signed head, in order. */
  readonly following: readonly string[];
  readonly checkpoint: Checkpoint;
  /** Of the checkpoint's canonical text; base64url. */
  readonly signature: string;
  readonly key: ReceiptKey;
}

export interface ReceiptKey {
  readonly algorithm: "Ed25519";
  /** The raw 32 bytes, base64url. */
  readonly publicKey: string;
  /** Names the chain: the first half of the SHA-256 of the raw key, hexadecimal. */
  readonly chain: string;
}

/** How much is kept; the oldest goes first, in whole signed blocks. */
export interface AttemptLimits {
  readonly isEnabled: boolean;
  readonly records: number;
  readonly ageMs: number;
  readonly bytes: number;
}

/** What the log has come to. */
export interface AttemptLogState {
  readonly written: number;
  /** Attempts that ended and could not be recorded. */
  readonly lost: number;
  /** Refusals that were counted, not recorded one by one. */
  readonly counted: number;
  /** Why nothing can be written now. */
  readonly fault: string | undefined;
}

/**
 * Remembers how every attempt ended, in a signed chain. Writing never delays a call and never fails one. Reading throws
 * {@link ExecutorError} RECORDS_UNAVAILABLE when the store cannot be used.
 */
export interface AttemptLog extends AsyncDisposable {
  /** What writes: give it to the executor. */
  readonly observer: Observer;
  configure(limits: AttemptLimits): void;
  state(): AttemptLogState;
  /** Newest first, by the time of acceptance. */
  list(filter: AttemptFilter): Promise<readonly AttemptEntry[]>;
  get(runId: string): Promise<AttemptEntry | undefined>;
  receipt(runId: string): Promise<Receipt | undefined>;
  key(): Promise<ReceiptKey>;
  /** The chain as `docs/receipts.md` describes it, line by line, in whole blocks that touch `from` to `to`. */
  lines(from: number, to: number): AsyncIterable<string>;
  /** Resolves when everything that ended before is written, or lost. */
  flush(): Promise<void>;
}
