/** What somebody outside wants of the daemon, or a part of it that cannot go on. */
export type Wish =
  | { readonly type: "stop" } // SIGTERM, SIGINT, POST /stop
  | { readonly type: "fail" } // a part has failed without which it is not to go on
  | { readonly type: "reload" } // SIGHUP
  | { readonly type: "dump" }; // SIGUSR1

export interface Wishes extends Disposable {
  /** Every wish in its order; ends after the first `stop` or `fail`. */
  wishes(): AsyncIterable<Wish>;
  wish(wish: Wish): void;
  /** Resolves at the second wish to stop: end by force. */
  readonly forced: Promise<Wish>;
  /** Aborts with the second wish to stop, or with the first while nothing runs yet that could end in order. */
  readonly ended: AbortSignal;
}

const SIGNALS: readonly (readonly [NodeJS.Signals, Wish])[] = [
  ["SIGTERM", { type: "stop" }],
  ["SIGINT", { type: "stop" }],
  ["SIGHUP", { type: "reload" }],
  ["SIGUSR1", { type: "dump" }],
];

/** Turns the process's signals into wishes, until it is disposed. */
export function listenToSignals(): Wishes {
  const waiting: Wish[] = [];
  const ended = new AbortController();
  let wake = (): void => undefined;
  let force = (_wish: Wish): void => undefined;
  let stops = 0;
  let isHeard = false;
  const forced = new Promise<Wish>((resolve) => {
    force = resolve;
  });
  const wish = (one: Wish): void => {
    if (one.type === "stop") {
      stops += 1;
      if (stops > 1) force(one);
      // A start that does not obey its signal must not keep the daemon from being ended.
      if (stops > 1 && !isHeard) process.exit(1);
      if (stops > 1 || !isHeard) ended.abort(new Error("the daemon was asked to end"));
    }
    waiting.push(one);
    wake();
  };
  const handlers = SIGNALS.map(([signal, one]) => {
    const onSignal = (): void => wish(one);
    process.on(signal, onSignal);
    return () => process.off(signal, onSignal);
  });
  return {
    async *wishes() {
      isHeard = true;
      for (;;) {
        const next = waiting.shift();
        if (next === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          continue;
        }
        yield next;
        if (next.type === "stop" || next.type === "fail") return;
      }
    },
    wish,
    forced,
    ended: ended.signal,
    [Symbol.dispose]: () => {
      for (const off of handlers) off();
    },
  };
}
