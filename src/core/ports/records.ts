import type { ErrorCode, ErrorFacts } from "../errors.ts";
import type { RunId, SandboxId } from "../ids.ts";
import type { IsolationClass } from "../task/isolation.ts";
import type { StartPhases } from "./driver.ts";

/** Where a recorded call ran. */
export interface RunPlacement {
  readonly sandboxId: SandboxId;
  readonly isolation: IsolationClass;
  readonly imageDigest: string;
  readonly start: "warm" | "thawed" | "cold";
  readonly waitedMs: number;
  readonly phases: StartPhases;
  readonly warnings: readonly string[];
}

/** A call that is about to start. */
export interface NewRun {
  readonly runId: RunId;
  readonly image: string;
  readonly createdAtMs: number;
  /** The caller's idempotency key, if it gave one. */
  readonly key: string | undefined;
  /** Tells whether a later request under the same key is the same request. */
  readonly fingerprint: string;
}

/** How a call ended. `lost` is only ever written by the store: the daemon ended while the call ran. */
export type RunEnd =
  | {
      readonly type: "answered";
      readonly status: number;
      readonly contentType: string | undefined;
      /** Length of the whole answer. */
      readonly bytes: number;
      /** Whether the answer itself is in the store. */
      readonly isKept: boolean;
    }
  | { readonly type: "failed"; readonly code: ErrorCode; readonly facts: ErrorFacts }
  | { readonly type: "lost" };

/** A run as it is kept: what was asked for and, once it has ended, how. */
export interface RunRecord extends NewRun {
  /** `undefined` while it runs. */
  readonly end: RunEnd | undefined;
  readonly endedAtMs: number | undefined;
  readonly placement: RunPlacement | undefined;
}

/** What is written when a call has ended. */
export interface RunEnding {
  readonly end: RunEnd;
  readonly endedAtMs: number;
  readonly placement: RunPlacement | undefined;
  /** The whole answer, or `undefined` if there is none to keep. */
  readonly answer: Uint8Array | undefined;
  /** Whether another request may now use the key: the call was refused for a reason that may pass by itself. */
  readonly freesKey: boolean;
}

/** What a store keeps at most. Past a bound the oldest ended runs go first, those without a key before those with one. */
export interface RunLimits {
  readonly runs: number;
  /** From the end of a run; also how long a key is remembered. */
  readonly ageMs: number;
  /** All answers together. Past it the oldest answers go; their runs stay, with `isKept` false. */
  readonly bytes: number;
}

/** A place among ended runs: that of the last one seen. */
export interface RunMark {
  readonly endedAtMs: number;
  readonly runId: RunId;
}

/**
 * Remembers calls beyond their connection and beyond the daemon's life. A run that was running when the daemon died is
 * `lost` in the next life. Every method throws {@link ExecutorError} RECORDS_UNAVAILABLE or DISK_FULL when it cannot keep its promise.
 */
export interface RunStore extends AsyncDisposable {
  /**
   * Records a run before it starts, durably. If its key is held already, nothing is recorded and the run that holds it
   * comes back: of several callers with one key exactly one gets `undefined`.
   */
  begin(run: NewRun): Promise<RunRecord | undefined>;
  /** Records how a run ended. A run that has ended already, or is not known, is left as it is. */
  end(runId: RunId, ending: RunEnding): Promise<void>;
  get(runId: RunId): Promise<RunRecord | undefined>;
  /** The answer's bytes, if they were kept. */
  answer(runId: RunId): Promise<Uint8Array | undefined>;
  /** Those that have not ended, newest first. */
  running(limit: number): Promise<readonly RunRecord[]>;
  /** Those that have ended, the last ended first; given a mark, only those that ended before it. */
  ended(limit: number, before?: RunMark): Promise<readonly RunRecord[]>;
}
