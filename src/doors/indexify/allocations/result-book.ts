import type { FunctionCallResult } from "../../../gen/executor_api_pb.js";

/** One wait of user code for the result of a call. */
export interface OpenWatcher {
  readonly id: string;
  readonly functionCallId: string;
}

/**
 * The results of the calls that one allocation made. They come once, perhaps before anybody waits, and are kept for every
 * wait that comes: user code that gave a wait up may wait again (`contracts/indexify.md` 5.7).
 */
export class ResultBook {
  readonly #results = new Map<string, FunctionCallResult>();
  readonly #watchers = new Map<string, OpenWatcher>();
  readonly #served = new Set<string>();
  readonly #deliver: (watcher: OpenWatcher, result: FunctionCallResult) => void;

  /** @param deliver called once for each wait. */
  constructor(deliver: (watcher: OpenWatcher, result: FunctionCallResult) => void) {
    this.#deliver = deliver;
  }

  /** Whether somebody waits for a result that has not come. */
  get isWaiting(): boolean {
    return [...this.#watchers.keys()].some((id) => !this.#served.has(id));
  }

  arrived(result: FunctionCallResult): void {
    const { functionCallId } = result;
    if (functionCallId === undefined || this.#results.has(functionCallId)) return;
    this.#results.set(functionCallId, result);
    this.#serve();
  }

  /** These are all the waits that are open now. */
  watched(watchers: readonly OpenWatcher[]): void {
    this.#watchers.clear();
    for (const watcher of watchers) this.#watchers.set(watcher.id, watcher);
    this.#serve();
  }

  #serve(): void {
    for (const watcher of this.#watchers.values()) {
      const result = this.#results.get(watcher.functionCallId);
      if (result === undefined || this.#served.has(watcher.id)) continue;
      this.#served.add(watcher.id);
      this.#deliver(watcher, result);
    }
  }
}
