import type { CallStory, StartStory } from "../../core/index.ts";

/** One part of a call's time. Times are the clock's milliseconds. */
export interface CallSpan {
  readonly name: string;
  /** The name of a span that comes before it, or `hearth.call`. */
  readonly parent: string;
  readonly beganAtMs: number;
  readonly endedAtMs: number;
  /** Whether it is a request to somebody else. */
  readonly isOutgoing: boolean;
}

const CALL = "hearth.call";
const QUEUE = "hearth.queue";
const START = "hearth.start";
/** A call that finds its slot at once takes some microseconds to do so; that is no wait. */
const LEAST_WAIT_MS = 1;

/**
 * Where the time of a call went: the wait for its slot and, where it waited for a start, the steps of that; then its task. A
 * start may have begun before the call, for another one that asked earlier.
 */
export function spansOf(call: CallStory): readonly CallSpan[] {
  const { acceptedAtMs, placement, placedAtMs, endedAtMs = acceptedAtMs } = call;
  const waitedUntilMs = placedAtMs ?? endedAtMs;
  const spans: CallSpan[] = [];
  if (placement?.start !== "warm" || waitedUntilMs - acceptedAtMs >= LEAST_WAIT_MS)
    spans.push(inside(QUEUE, CALL, acceptedAtMs, waitedUntilMs));
  if (placement?.start === "cold" && call.start !== undefined) spans.push(...startSpans(call.start));
  if (placedAtMs !== undefined) {
    spans.push({ ...inside("hearth.task", CALL, placedAtMs, endedAtMs), isOutgoing: true });
  }
  return spans;
}

function startSpans(start: StartStory): CallSpan[] {
  const { beganAtMs, resolvedAtMs, admittedAtMs, endedAtMs, phases } = start;
  if (endedAtMs === undefined) return [];
  const spans = [inside(START, QUEUE, beganAtMs, endedAtMs)];
  if (resolvedAtMs !== undefined)
    spans.push(inside(start.wasPulled ? "hearth.pull" : "hearth.resolve", START, beganAtMs, resolvedAtMs));
  if (resolvedAtMs !== undefined && admittedAtMs !== undefined)
    spans.push(inside("hearth.admit", START, resolvedAtMs, admittedAtMs));
  if (phases === undefined) return spans;
  // The driver tells how long each step took, and the last one ends with the start.
  const readyFromMs = endedAtMs - phases.readyMs;
  const startFromMs = readyFromMs - phases.startMs;
  return [
    ...spans,
    inside("hearth.sandbox.create", START, startFromMs - phases.createMs, startFromMs),
    inside("hearth.sandbox.start", START, startFromMs, readyFromMs),
    inside("hearth.sandbox.ready", START, readyFromMs, endedAtMs),
  ];
}

function inside(name: string, parent: string, beganAtMs: number, endedAtMs: number): CallSpan {
  return { name, parent, beganAtMs, endedAtMs, isOutgoing: false };
}
