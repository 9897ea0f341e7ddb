/** Something that runs alongside; it must end soon after its signal aborts. */
export type Child = (signal: AbortSignal) => Promise<void>;

type Close = () => Promise<void>;

/**
 * A lifetime. What starts in a scope has ended when the scope has:
 *
 *     open ──(stop aborts, a child fails, stop())──► stopping ──(dispose)──► closed
 *
 * Once stopping, every child's signal is aborted. Disposing stops too, then ends resources and children in the reverse of
 * the order they came in, waits for each, and throws the first failure. Disposing twice is once.
 */
export class Scope implements AsyncDisposable {
  readonly #controller = new AbortController();
  readonly #closes = new Set<Close>();
  readonly #stopping: Promise<void>;
  readonly #unlink: () => void;
  readonly #failures: unknown[] = [];
  #closed: Promise<void> | undefined;

  /** @param stop the outer wish to end; the scope lets go of it when it is disposed. */
  constructor(stop?: AbortSignal) {
    this.#stopping = new Promise((resolve) => {
      this.#controller.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    const onStop = (): void => this.stop(stop?.reason);
    stop?.addEventListener("abort", onStop, { once: true });
    this.#unlink = () => stop?.removeEventListener("abort", onStop);
    if (stop?.aborted === true) onStop();
  }

  /** Aborts when the scope begins to stop; what children get. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Takes over a resource: it is closed when the scope is, before everything that came earlier. */
  use<T extends AsyncDisposable | Disposable>(resource: T): T {
    this.defer(async () => {
      if (Symbol.asyncDispose in resource) await resource[Symbol.asyncDispose]();
      else resource[Symbol.dispose]();
    });
    return resource;
  }

  /** Runs `close` when the scope is disposed, in its place among the resources. */
  defer(close: () => Promise<void> | void): void {
    if (this.#closed !== undefined) throw new Error("the scope is closed");
    this.#closes.add(async () => await close());
  }

  /** Runs a child alongside. One that fails stops the scope, and dispose throws its failure; one that ends is forgotten. */
  spawn(child: Child): void {
    if (this.#closed !== undefined) throw new Error("the scope is closed");
    const close = (): Promise<void> => ended;
    this.#closes.add(close);
    const ended = this.#run(child).finally(() => this.#closes.delete(close));
  }

  /** Begins to stop. Later calls change nothing. */
  stop(reason: unknown = new Error("the scope stops")): void {
    this.#controller.abort(reason);
  }

  /** Resolves when the scope begins to stop, for whichever reason. */
  stopping(): Promise<void> {
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #run(child: Child): Promise<void> {
    try {
      await child(this.signal);
    } catch (error) {
      // A child that ends by throwing the reason it was told to end for has obeyed, not failed.
      if (this.signal.aborted && error === this.signal.reason) return;
      this.#failures.push(error);
      this.stop(error);
    }
  }

  async #close(): Promise<void> {
    this.#unlink();
    this.stop();
    for (const close of [...this.#closes].reverse()) {
      try {
        await close();
      } catch (error) {
        this.#failures.push(error);
      }
    }
    this.#closes.clear();
    const [first] = this.#failures;
    if (this.#failures.length > 0) throw first;
  }
}
