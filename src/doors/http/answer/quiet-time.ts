import type { Socket } from "node:net";

/** A time of quiet is looked at in so many parts, and may last one or two of them longer than it was set to. */
const PARTS = 8;

/** What a look needs to know of a socket. */
export type LookedAt = Pick<Socket, "bytesRead" | "bytesWritten" | "writableLength">;

interface Look {
  readonly atMs: number;
  readonly quietSinceMs: number;
  /** Changes with all that is read, written, and taken whole. */
  readonly moved: string;
}

/**
 * Tells whether nothing has moved on a socket for a given time, no sooner and hardly later.
 *
 * The timer of `node:net` alone cannot: when it is due it asks whether the kernel has taken something of a long write since
 * the look before, and if so begins anew without a word. As the kernel takes the first bytes of every long write at once, a
 * client that reads nothing would be cut off after twice the time. So the timer is set to a part of it, and parts without a
 * byte are added up. A look that comes late counts as one that was begun anew: a client is never cut off because we stood still.
 */
export class QuietTime {
  /** What the socket's own timer (`setTimeout`) is to be set to. A timer may be a millisecond early. */
  readonly partMs: number;
  readonly #timeoutMs: number;
  readonly #nowMs: () => number;
  readonly #looks = new WeakMap<LookedAt, Look>();

  constructor(timeoutMs: number, nowMs: () => number = () => performance.now()) {
    this.partMs = Math.ceil(timeoutMs / PARTS) + 1;
    this.#timeoutMs = timeoutMs;
    this.#nowMs = nowMs;
  }

  /** Call at each `timeout` of the socket, and set its timer anew while the answer is `false`. */
  isOver(socket: LookedAt): boolean {
    const atMs = this.#nowMs();
    const moved = `${socket.bytesRead} ${socket.bytesWritten} ${socket.writableLength}`;
    const last = this.#looks.get(socket);
    const goesOn = last?.moved === moved && atMs - last.atMs < 1.5 * this.partMs;
    const quietSinceMs = goesOn ? last.quietSinceMs : atMs - this.partMs;
    this.#looks.set(socket, { atMs, quietSinceMs, moved });
    return atMs - quietSinceMs >= this.#timeoutMs;
  }
}
