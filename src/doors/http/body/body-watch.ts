import type { IncomingMessage } from "node:http";
import type { TimerWheel } from "../../../std/index.ts";

/** Slower than this is no client that we wait for. */
const MIN_BYTES_PER_SECOND = 1024;

/**
 * Watches that a request's body keeps coming while it is wanted: a window without at least a kilobyte per second ends it.
 * While the reader has paused the request, time does not count.
 *
 * @returns stops watching.
 */
export function watchBody(
  request: IncomingMessage,
  wheel: TimerWheel,
  windowMs: number,
  onStall: () => void,
): () => void {
  const { socket } = request;
  const least = (windowMs / 1000) * MIN_BYTES_PER_SECOND;
  let seen = socket.bytesRead;
  const timer = wheel.timer(() => {
    if (request.complete || request.destroyed) return;
    const came = socket.bytesRead - seen;
    seen = socket.bytesRead;
    if (came < least && !request.isPaused()) onStall();
    else timer.set(windowMs);
  });
  timer.set(windowMs);
  return () => timer.clear();
}
