import type { LogChunk } from "../../../core/index.ts";
import { backoffMs, sleep } from "../../../std/index.ts";
import { followFrom, followLog, LogPlace } from "../container/follow-log.ts";
import type { Engine } from "../engine/engine.ts";
import { isMissing, toExecutorError } from "../engine/engine-error.ts";

const REOPEN = { firstMs: 50, maxMs: 2000 } as const;

/**
 * A job's log until its end, also past an engine that goes away meanwhile: what it kept is read on from where the reader was.
 * Only a log that cannot be opened at all is an error.
 *
 * The last look begins after the end: an engine (20.10) now and then ends a log that is followed just as its container ends before
 * it has handed out the last lines, which is all of them where a job is short.
 */
export async function* followJobLog(
  engine: Engine,
  containerId: string,
  tailBytes: number,
  signal: AbortSignal,
  hasEnded: () => boolean,
): AsyncGenerator<LogChunk, void, undefined> {
  const place = new LogPlace();
  let next = followLog(engine, containerId, tailBytes, signal, place);
  for (let failures = 0; ; ) {
    const isLast = hasEnded();
    try {
      yield* next;
      if (isLast) return;
      failures = 0;
    } catch (thrown) {
      signal.throwIfAborted();
      if (!place.wasOpened) throw toExecutorError(thrown);
      if (isMissing(thrown)) return;
      failures += 1;
    }
    // A log that ends before its job is told to have ended is looked at once more as well.
    if (failures > 0 || !hasEnded()) await sleep(backoffMs(REOPEN, failures, Math.random()), signal);
    next = followFrom(engine, containerId, place, signal);
  }
}
