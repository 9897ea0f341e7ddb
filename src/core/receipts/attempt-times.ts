import type { StartPhases } from "../ports/driver.ts";
import type { PhasesUs } from "./entry.ts";

/** When the steps of an attempt were reached; milliseconds of one clock. A step that was not reached has none. */
export interface AttemptTimes {
  readonly acceptedAtMs: number;
  /** It had its place, and its task was given its input. */
  readonly placedAtMs: number | undefined;
  /** The head of the answer, or the first output. */
  readonly headAtMs: number | undefined;
  readonly endedAtMs: number;
  /** The start that it waited for. */
  readonly start: StartTimes | undefined;
}

/** When the steps of a start were reached; milliseconds of the same clock. */
export interface StartTimes {
  readonly beganAtMs: number;
  /** Its image was found or pulled. */
  readonly resolvedAtMs: number | undefined;
  readonly endedAtMs: number | undefined;
  /** As the driver measured them. */
  readonly phases: StartPhases | undefined;
}

/** Whole microseconds. */
export function toUs(ms: number): number {
  return Math.round(ms * 1000);
}

/**
 * Splits the time from accepted to ended, without a gap and without an overlap: what no step of the start accounts for is
 * `queued`. A caller that came while a start was under way has only the part of it that it waited for.
 */
export function attemptPhases(times: AttemptTimes): PhasesUs {
  const { placedAtMs, headAtMs, start } = times;
  if (start === undefined) return warmPhases(times);
  const acceptedUs = toUs(times.acceptedAtMs);
  const endedUs = Math.max(acceptedUs, toUs(times.endedAtMs));
  const within = (atMs: number, fromUs: number): number => Math.min(Math.max(toUs(atMs), fromUs), endedUs);
  const waitEndUs = placedAtMs === undefined ? endedUs : within(placedAtMs, acceptedUs);
  const waitUs = waitEndUs - acceptedUs;
  const steps = stepsOf(start, acceptedUs, waitEndUs);
  const accounted = steps.pull + steps.create + steps.start + steps.ready;
  const phases = { queued: waitUs - accounted, ...steps };
  if (placedAtMs === undefined) return phases;
  const firstUs = headAtMs === undefined ? endedUs : within(headAtMs, waitEndUs);
  return { ...phases, firstByte: firstUs - waitEndUs, answer: endedUs - firstUs };
}

/** The same without a start, which nearly all have; cheap, for there may be thousands a second. */
function warmPhases({ acceptedAtMs, placedAtMs, headAtMs, endedAtMs }: AttemptTimes): PhasesUs {
  const acceptedUs = toUs(acceptedAtMs);
  const endedUs = Math.max(acceptedUs, toUs(endedAtMs));
  if (placedAtMs === undefined) return { queued: endedUs - acceptedUs };
  const placedUs = Math.min(Math.max(toUs(placedAtMs), acceptedUs), endedUs);
  const firstUs = headAtMs === undefined ? endedUs : Math.min(Math.max(toUs(headAtMs), placedUs), endedUs);
  return { queued: placedUs - acceptedUs, firstByte: firstUs - placedUs, answer: endedUs - firstUs };
}

interface Steps {
  readonly pull: number;
  readonly create: number;
  readonly start: number;
  readonly ready: number;
}

function stepsOf(
  { beganAtMs, resolvedAtMs, endedAtMs, phases }: StartTimes,
  fromUs: number,
  toEndUs: number,
): Steps {
  const clip = (atMs: number): number => Math.min(Math.max(toUs(atMs), fromUs), toEndUs);
  const pull = Math.max(0, clip(resolvedAtMs ?? endedAtMs ?? Number.POSITIVE_INFINITY) - clip(beganAtMs));
  if (phases === undefined || endedAtMs === undefined) return { pull, create: 0, start: 0, ready: 0 };
  // Backwards from its end: what lies between the image and the sandbox was a wait for room.
  const floorMs = Math.max(beganAtMs, resolvedAtMs ?? endedAtMs);
  const before = (ms: number): number => clip(Math.max(floorMs, endedAtMs - ms));
  const endUs = clip(endedAtMs);
  const readyAt = Math.min(endUs, before(phases.readyMs));
  const startAt = Math.min(readyAt, before(phases.readyMs + phases.startMs));
  const createAt = Math.min(startAt, before(phases.readyMs + phases.startMs + phases.createMs));
  return { pull, create: startAt - createAt, start: readyAt - startAt, ready: endUs - readyAt };
}
