/** A signal that follows others until it is disposed. */
export interface EitherSignal extends Disposable {
  readonly signal: AbortSignal;
}

/**
 * Aborts with the first of two signals, for that one's reason.
 *
 * In place of `AbortSignal.any`, which on Node 20 holds what it was given weakly: a timeout that nobody else holds is collected and
 * never fires. For a time limit there is {@link withDeadline}.
 */
export function eitherSignal(one: AbortSignal, other: AbortSignal): EitherSignal {
  const both = [one, other] as const;
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(both.find(({ aborted }) => aborted)?.reason);
  for (const signal of both) {
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  }
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const signal of both) signal.removeEventListener("abort", onAbort);
    },
  };
}
