import type { IncomingMessage } from "node:http";
import type { TimerWheel } from "../../../std/index.ts";

/** Slower than this is no client that we wait for. */
const MIN_BYTES_PER_SECOND = 1024;
/**
 * How long a body may take once it is found slow. Clocks are looked at before what has come is read: when this process, or the
 * whole machine, has stood still, a body that was sent in time would be refused unread.
 */
const LOOK_AGAIN_MS = 200;

/**
 * Watches that a request's body keeps coming while it is wanted: a window without at least a kilobyte per second, also at a
 * second look, ends it. While the reader has paused the request, time does not count.
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
  let isLastLook = false;
  const timer = wheel.timer(() => {
    if (request.complete || request.destroyed) return;
    const isSlow = socket.bytesRead - seen < least && !request.isPaused();
    if (isSlow && isLastLook) {
      onStall();
      return;
    }
    isLastLook = isSlow;
    if (!isSlow) seen = socket.bytesRead;
    timer.set(isSlow ? LOOK_AGAIN_MS : windowMs);
  });
  timer.set(windowMs);
  return () => timer.clear();
}
