import type { AttemptEntry, AttemptFilter, Receipt, ReceiptLimits } from "../../../core/index.ts";
import type { SentBatch } from "./attempt-rows.ts";
import type { ExportState } from "./chain-export.ts";

/** Where a chain is kept, and how. */
export interface ChainPlace {
  /** The database file; its folder exists. */
  readonly file: string;
  /** The private key's file, PEM. */
  readonly keyFile: string;
  readonly limits: ReceiptLimits;
  /** Of the daemon; stands in the chain. */
  readonly version: string;
  /** Nothing can have been recorded under this key yet: an empty chain is no surprise. */
  readonly isKeyNew: boolean;
}

/** What came of a batch. */
export interface Appended {
  /** Attempts that are in the chain now. */
  readonly written: number;
  readonly records: number;
  readonly bytes: number;
  /** Where a chain of another key, or of an earlier form, was set aside, if there was one when this one was opened. */
  readonly setAside: string | undefined;
  /** There was no entry when it was opened, although the key is older. */
  readonly isAnew: boolean;
}

/**
 * Keeps a chain, on this thread or on another. Everything rejects with an {@link ExecutorError} RECORDS_UNAVAILABLE or DISK_FULL
 * when the store cannot be used.
 */
export interface ChainWriter {
  /** All of it, or nothing if it rejects. */
  append(batch: SentBatch): Promise<Appended>;
  list(filter: AttemptFilter): Promise<readonly AttemptEntry[]>;
  get(id: string): Promise<AttemptEntry | undefined>;
  receipt(id: string): Promise<Receipt | undefined>;
  beginExport(from: number, to: number): Promise<ExportState>;
  exportNext(state: ExportState): Promise<{ readonly text: string; readonly state: ExportState | undefined }>;
  /** Says in the chain that it ends here as asked, and closes it. */
  close(): Promise<void>;
}
