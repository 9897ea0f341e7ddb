import type { TaskResources } from "../task/resources.ts";
import type { Holding, PlanRoomOptions, Supply } from "./plan-room.ts";
import { planRoom } from "./plan-room.ts";

/** A holding, and when it is expected to be idle. */
export interface ExpectedHolding extends Holding {
  /** 0 for one that is idle; `undefined` when nobody can tell. */
  readonly idleInMs: number | undefined;
}

/**
 * When room for a need is to be expected, if those who run now end when they are expected to and nobody else comes.
 *
 * @returns milliseconds from now; `undefined` when the room hangs on somebody of whom nobody can tell, or never comes this way.
 */
export function expectRoom(
  need: TaskResources,
  supply: Supply,
  holdings: readonly ExpectedHolding[],
  options: PlanRoomOptions,
): number | undefined {
  const isEnoughAfter = (ms: number): boolean => {
    const asThen = holdings.map((one) => ({
      ...one,
      isIdle: one.idleInMs !== undefined && one.idleInMs <= ms,
    }));
    return planRoom(need, supply, asThen, options) !== undefined;
  };
  const times = [...new Set([0, ...holdings.flatMap(({ idleInMs }) => idleInMs ?? [])])];
  times.sort((a, b) => a - b);
  // Whoever waits longer sees more of them idle: the first time that is enough is found by halving.
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isEnoughAfter(times[middle] ?? 0)) high = middle;
    else low = middle + 1;
  }
  return times[low];
}
