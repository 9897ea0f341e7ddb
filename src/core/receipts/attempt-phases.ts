import type { StartPhases } from "../ports/driver.ts";
import type { PhasesUs } from "./entry.ts";

/** When the steps of an attempt were reached, in whole microseconds of one clock. */
export interface AttemptTimes {
  readonly acceptedUs: number;
  /** `undefined`: it never had a slot. */
  readonly placedUs: number | undefined;
  readonly headUs: number | undefined;
  readonly endedUs: number;
  /** The start that it waited for. */
  readonly start?: StartTimes | undefined;
}

export interface StartTimes {
  readonly beganUs: number;
  readonly resolvedUs: number | undefined;
  readonly endedUs: number | undefined;
  readonly phases: StartPhases | undefined;
}

/**
 * Splits the time from accepted to ended, without a gap and without an overlap: what no step of the start accounts for is
 * `queued`. A caller that came while a start was under way has only the part of it that it waited for.
 */
export function attemptPhases({ acceptedUs, placedUs, headUs, endedUs, start }: AttemptTimes): PhasesUs {
  const waitEndUs = placedUs ?? endedUs;
  const waitUs = waitEndUs - acceptedUs;
  const startUs =
    start === undefined ? undefined : stepsOf(start, (at) => Math.min(Math.max(at, acceptedUs), waitEndUs));
  const accounted = startUs === undefined ? 0 : startUs.pull + startUs.create + startUs.start + startUs.ready;
  const phases = { queued: waitUs - accounted, ...startUs };
  if (placedUs === undefined) return phases;
  const firstUs = headUs ?? endedUs;
  return { ...phases, firstByte: firstUs - placedUs, answer: endedUs - firstUs };
}

function stepsOf(
  { beganUs, resolvedUs, endedUs, phases }: StartTimes,
  clip: (atUs: number) => number,
): { pull: number; create: number; start: number; ready: number } {
  const pull = clip(resolvedUs ?? endedUs ?? Number.MAX_SAFE_INTEGER) - clip(beganUs);
  if (phases === undefined || endedUs === undefined) return { pull, create: 0, start: 0, ready: 0 };
  // Backwards from its end: what lies between the image and the sandbox was a wait for room.
  const floorUs = resolvedUs ?? beganUs;
  const at = (ms: number): number => Math.max(floorUs, endedUs - Math.round(ms * 1000));
  const readyAt = clip(at(phases.readyMs));
  const startAt = Math.min(readyAt, clip(at(phases.readyMs + phases.startMs)));
  const createAt = Math.min(startAt, clip(at(phases.readyMs + phases.startMs + phases.createMs)));
  return { pull, create: startAt - createAt, start: readyAt - startAt, ready: clip(endedUs) - readyAt };
}
