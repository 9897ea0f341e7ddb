import type { ClientReadableStream } from "@grpc/grpc-js";

/** So many unread answers, and the peer is made to wait. */
const MOST_UNREAD = 16;
/** A peer that has said everything ends its stream by itself; one that does not is hung up on after this time. */
const LINGER_MS = 1_000;

/**
 * The answers of one stream, one at a time. A reader of its own, because the stream's makes several objects for each wait, and
 * hangs up on every stream that was read as far as anybody cared: an error, made and thrown away, for each.
 */
export class Answers<T> {
  readonly #stream: ClientReadableStream<T>;
  readonly #unread: T[] = [];
  #end: { readonly error: Error | undefined } | undefined;
  #wake: (() => void) | undefined;
  #isStopped = false;

  constructor(stream: ClientReadableStream<T>) {
    this.#stream = stream;
    stream.on("data", (answer: T) => {
      if (this.#isStopped) return;
      this.#unread.push(answer);
      if (this.#unread.length >= MOST_UNREAD) stream.pause();
      this.#wake?.();
    });
    stream.on("end", () => this.#over(undefined));
    // Also after its reader has gone; then it is nobody's failure.
    stream.on("error", (error) => this.#over(error));
  }

  /** `undefined` after the last. @throws as the stream ended. */
  async next(): Promise<T | undefined> {
    while (this.#unread.length === 0) {
      if (this.#end?.error !== undefined) throw this.#end.error;
      if (this.#end !== undefined) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    const answer = this.#unread.shift();
    if (this.#unread.length === 0) this.#stream.resume();
    return answer;
  }

  /** Nobody reads on. What still comes is dropped. */
  stop(): void {
    this.#isStopped = true;
    this.#unread.length = 0;
    this.#stream.resume();
    if (this.#end !== undefined) return;
    const timer = setTimeout(() => this.#stream.cancel(), LINGER_MS);
    timer.unref();
    this.#onEnd = () => clearTimeout(timer);
  }

  #onEnd = (): void => undefined;

  #over(error: Error | undefined): void {
    this.#end ??= { error };
    this.#wake?.();
    this.#onEnd();
  }
}
