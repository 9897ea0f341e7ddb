import type { TimerWheel } from "../../std/index.ts";

/**
 * How often what has come from an ended server is looked at, and in how many such turns without a byte there is no more. Several
 * turns instead of one long one: after a time in which this process was kept from running, it reads between two of them.
 */
const TURN_MS = 500;
const QUIET_TURNS = 4;

/** What is watched. */
export interface Rest {
  readonly wheel: TimerWheel;
  /** Bytes read so far; `undefined` while nobody wants to read. */
  seen(): number | undefined;
  onNoMore(): void;
}

/**
 * Waits until nothing more comes from a server that has ended. Its kernel may still send what it had written; but where the network
 * went with the server, neither that nor the connection's end will ever come.
 *
 * @returns what stops it.
 */
export function watchRest({ wheel, seen, onNoMore }: Rest): () => void {
  let last = seen();
  let quietTurns = 0;
  const timer = wheel.timer(() => {
    const now = seen();
    quietTurns = now === undefined || now !== last ? 0 : quietTurns + 1;
    last = now;
    if (quietTurns === QUIET_TURNS) onNoMore();
    else timer.set(TURN_MS);
  });
  timer.set(TURN_MS);
  return () => timer.clear();
}
