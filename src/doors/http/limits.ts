/** What the HTTP door takes at most, and for how long it waits. Times in milliseconds, sizes in bytes. */
export interface HttpLimits {
  /** The longest request body that is held in memory; a body that is passed on as a stream has no limit but its time. */
  readonly bodyBytes: number;
  /** The longest answer of a task that is held in memory. */
  readonly answerBytes: number;
  /** The longest answer that is kept with its run. */
  readonly recordBytes: number;
  /** All bodies and answers held in memory together. */
  readonly heldBytes: number;
  readonly headerBytes: number;
  readonly headerTimeoutMs: number;
  /** A body must bring at least a kilobyte a second, measured over windows of this length. */
  readonly bodyTimeoutMs: number;
  /** A client that has left its answer unread for this long is cut off. */
  readonly writeTimeoutMs: number;
  /** How long a connection may wait for its next request. */
  readonly keepAliveMs: number;
  readonly connections: number;
  readonly connectionsPerPeer: number;
  /** Recorded calls that run at once. */
  readonly activeRuns: number;
  /** How long closing waits for answers under way. */
  readonly closeGraceMs: number;
}

const MEBIBYTE = 1024 * 1024;

export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  bodyBytes: 32 * MEBIBYTE,
  answerBytes: 32 * MEBIBYTE,
  recordBytes: 16 * MEBIBYTE,
  heldBytes: 256 * MEBIBYTE,
  headerBytes: 16 * 1024,
  headerTimeoutMs: 5000,
  bodyTimeoutMs: 10_000,
  writeTimeoutMs: 30_000,
  keepAliveMs: 60_000,
  connections: 1024,
  connectionsPerPeer: 512,
  activeRuns: 1000,
  closeGraceMs: 10_000,
};

/** Files for everything but callers: the engine, the store, the other door, what sandboxes print. */
const OWN_FILES = 64;
const FEWEST_CONNECTIONS = 8;

/**
 * The same limits, with no more connections than this process may have files for: each call may hold two, its caller's and its
 * task's. Otherwise callers who do nothing would take the files that the engine is reached with.
 *
 * @param openFiles how many there may be in all; `undefined` for no bound.
 */
export function withinFiles(limits: HttpLimits, openFiles: number | undefined): HttpLimits {
  if (openFiles === undefined) return limits;
  const most = Math.max(FEWEST_CONNECTIONS, Math.floor((openFiles - OWN_FILES) / 2));
  return {
    ...limits,
    connections: Math.min(limits.connections, most),
    connectionsPerPeer: Math.min(limits.connectionsPerPeer, most),
  };
}
