import { orAbort, sleep } from "../../../std/index.ts";
import type { Connection } from "./connection.ts";
import type { ClaimReply } from "./replies.ts";

/**
 * Waits for new entries without taking them: a blocked read that claims could bring more than was asked for, and what it brings to
 * a connection that has just broken would be pending to us unseen. Everybody who waits hears of each new entry; the script decides who gets it.
 */
export class Arrivals {
  readonly #connection: Connection;
  #reading: Promise<void> | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Resolves when there may be something, and after `waitMs` at the latest; an error is a wait. */
  async wait(marks: ClaimReply["marks"], waitMs: number, signal: AbortSignal): Promise<void> {
    if (marks.length === 0 || this.#connection.state.type !== "up") {
      await sleep(waitMs, signal);
      return;
    }
    // A read that an earlier caller gave up still waits, from marks that are no newer than these.
    this.#reading ??= this.#read(marks, waitMs).finally(() => {
      this.#reading = undefined;
    });
    await orAbort(this.#reading, signal);
  }

  async #read(marks: ClaimReply["marks"], waitMs: number): Promise<void> {
    const block = Math.max(1, Math.ceil(waitMs));
    const streams = marks.map(({ stream }) => stream);
    const lastIds = marks.map(({ lastId }) => lastId);
    try {
      await this.#connection.send(
        ["XREAD", "COUNT", "1", "BLOCK", `${block}`, "STREAMS", ...streams, ...lastIds],
        { waitMs: block },
      );
    } catch {
      // Whatever it is, the next claim meets it too and says so; until then no loop without a pause.
      await sleep(Math.min(waitMs, 100));
    }
  }
}
