import type { MethodTypes } from "../../contract/executer-tracker/index.ts";
import type {
  ArchiveLimits,
  Archiver,
  ArtifactStore,
  JobProducer,
  Log,
  Secret,
  TaskBook,
} from "../../core/index.ts";

export interface JobApiLimits {
  /** The longest `input.zip` that is taken. */
  readonly uploadBytes: number;
  /** The longest `output.zip` that is looked into for a part of it. */
  readonly outputBytes: number;
  /** The longest JSON body; the preview of a task's parameters is the longest of them. */
  readonly jsonBytes: number;
  readonly connections: number;
  /** How long a connection may bring and take nothing. */
  readonly stallMs: number;
  /** How long a stop waits for answers under way. */
  readonly closeGraceMs: number;
}

export const DEFAULT_JOB_API_LIMITS: JobApiLimits = {
  uploadBytes: 4 * 1024 * 1024 * 1024,
  outputBytes: 16 * 1024 * 1024 * 1024,
  jsonBytes: 8 * 1024 * 1024,
  connections: 256,
  stallMs: 60_000,
  closeGraceMs: 5_000,
};

export interface JobApiOptions {
  readonly host: string;
  readonly port: number;
  readonly key: Secret;
  /** Whether only who calls it by an address or as `localhost` is answered: needed where anybody knows the key. */
  readonly isForThisHost: boolean;
  /** Whether hosts may register without the key. */
  readonly isRegistrationOpen: boolean;
  readonly limits: JobApiLimits;
  readonly archiveLimits: ArchiveLimits;
  readonly methodTypes: MethodTypes;
  readonly producer: JobProducer;
  readonly book: TaskBook;
  readonly store: ArtifactStore;
  readonly archiver: Archiver;
  /** A folder for parts of outputs, empty at the start and nobody else's. */
  readonly tempDir: string;
  /** Wall clock, with a fraction. */
  readonly nowMs: () => number;
  readonly log: Log;
}

/** What every route works with. */
export interface ApiParts extends JobApiOptions {
  /** Aborts when the API closes. */
  readonly signal: AbortSignal;
  /** Tasks whose input is arriving. */
  readonly arriving: Set<string>;
  timestamp(): string;
}
