import type { Socket } from "node:net";
import type { ForwardTimes } from "./forward.ts";
import type { Refusal } from "./route.ts";

/** What is said of a sandbox that does not move. */
export const STANDSTILL = {
  closed: { status: 502, code: "CONNECTION_CLOSED", error: "the sandbox closed the connection" },
  connect: { status: 504, code: "CONNECTION_TIMEOUT", error: "the sandbox does not accept the connection" },
  read: { status: 504, code: "READ_TIMEOUT", error: "the sandbox does not answer" },
  write: { status: 504, code: "WRITE_TIMEOUT", error: "the sandbox does not take what is sent" },
} as const satisfies Record<string, Refusal>;

/**
 * Tells when a connection to a sandbox stands still for too long: while it is made, while it takes nothing of what is sent, or
 * while nothing comes back. Whatever moves begins the time anew.
 */
export function watchStandstill(
  socket: Socket,
  { connectMs, readMs, writeMs }: ForwardTimes,
  onStandstill: (refusal: Refusal) => void,
): void {
  let armedMs = connectMs;
  let stillMs = 0;
  let moved = 0;
  const arm = (ms: number): void => {
    armedMs = ms;
    socket.setTimeout(ms);
  };
  arm(connectMs);
  socket.once("connect", () => {
    stillMs = 0;
    arm(Math.min(readMs, writeMs));
  });
  socket.on("timeout", () => {
    if (socket.connecting) {
      onStandstill(STANDSTILL.connect);
      return;
    }
    const now = socket.bytesRead + socket.bytesWritten - socket.writableLength;
    stillMs = now === moved ? stillMs + armedMs : armedMs;
    moved = now;
    const isStuck = socket.writableLength > 0;
    const limitMs = isStuck ? writeMs : readMs;
    if (stillMs >= limitMs) onStandstill(isStuck ? STANDSTILL.write : STANDSTILL.read);
    else arm(limitMs - stillMs);
  });
}
