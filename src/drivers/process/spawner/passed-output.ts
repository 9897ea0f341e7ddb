import type { OutputListener, OutputStream } from "../output/output-stream.ts";

/** What the program is asked to do with a stream, see spawner.c. */
export type Steering = "hold" | "take" | "stop";

/** A stream of a started process, whose bytes come by way of the program that started it. */
export class PassedOutput implements OutputStream {
  readonly #steer: (how: Steering) => void;
  readonly #letGo: () => void;
  #listener: OutputListener | undefined;
  #early: Buffer[] = [];
  #hasEnded = false;
  #isStopped = false;

  /**
   * @param steer does nothing where the program has ended.
   * @param letGo is called, perhaps more than once, when the daemon's own end need not wait for it any more.
   */
  constructor(steer: (how: Steering) => void, letGo: () => void) {
    this.#steer = steer;
    this.#letGo = letGo;
  }

  listen(listener: OutputListener): void {
    this.#listener = listener;
    for (const bytes of this.#early) listener.onBytes(bytes);
    this.#early = [];
    if (this.#hasEnded) listener.onClose();
  }

  /** What has come. */
  take(bytes: Buffer): void {
    if (this.#listener !== undefined) this.#listener.onBytes(bytes);
    // A copy: it is a view on a read buffer.
    else this.#early.push(Buffer.from(bytes));
  }

  /** No more will come. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#letGo();
    this.#listener?.onClose();
  }

  unref(): void {
    this.#letGo();
  }

  pause(): void {
    if (!this.#hasEnded) this.#steer("hold");
  }

  resume(): void {
    if (!this.#hasEnded) this.#steer("take");
  }

  close(): void {
    if (this.#hasEnded || this.#isStopped) return;
    this.#isStopped = true;
    this.#steer("stop");
  }
}
