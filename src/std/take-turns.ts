export interface Turns<T, R> {
  /** Asked before each step; work that nobody wants any more ends there. */
  isWanted(): boolean;
  onStep?(step: T): void;
  onDone(result: R): void;
}

/**
 * Runs a generator, one step for each turn of the event loop, so that long work lets short work pass. The first step runs at
 * once; `onDone` may therefore be called before this returns.
 */
export function takeTurns<T, R>(steps: Generator<T, R, undefined>, turns: Turns<T, R>): void {
  if (!turns.isWanted()) return;
  const step = steps.next();
  if (step.done === true) {
    turns.onDone(step.value);
    return;
  }
  turns.onStep?.(step.value);
  setImmediate(() => takeTurns(steps, turns));
}
