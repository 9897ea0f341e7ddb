/**
 * The life of one warm sandbox. One owner (`engine/sandboxes/sandbox-owner.ts`) calls `advance`; the drawing is in `docs/lifecycle.md`.
 *
 *            ready              freeze            frozen
 *  starting ───────► hot ◄───► (slots) ─────► freezing ─────► frozen
 *     │               │  ▲                                      │ thaw
 *     │ stop          │  └───────────── thawed ◄──── thawing ◄──┘
 *     │               │ retire            (every state but gone: stop)
 *     │               ▼
 *     └──► stopping ◄── retiring (its calls end, no new ones) ; stopping ── removed ──► gone
 */
import { assertNever } from "../assert-never.ts";

/** Why a sandbox ends. */
export const STOP_CAUSES = [
  "idle", // unused for the idle timeout
  "evicted", // room was needed
  "outdated", // its image's tag names other content now
  "unfit", // a GPU that it holds is gone or broken
  "asked", // an operator
  "paused",
  "drained",
  "overdue", // a call on it ran out of time
  "cancelled", // a call on it was cancelled
  "died", // its code ended by itself, or its engine lost it
  "failed", // it never became ready, or would not freeze or wake
] as const;
export type StopCause = (typeof STOP_CAUSES)[number];

export type LifeState =
  | { readonly type: "starting" }
  | { readonly type: "hot"; readonly slotsUsed: number; readonly idleSinceMs: number }
  /** Ends as soon as its last call does; takes no new one. */
  | { readonly type: "retiring"; readonly slotsUsed: number; readonly cause: StopCause }
  | { readonly type: "freezing"; readonly idleSinceMs: number }
  | { readonly type: "frozen"; readonly idleSinceMs: number }
  | { readonly type: "thawing"; readonly idleSinceMs: number }
  | { readonly type: "stopping"; readonly cause: StopCause }
  | { readonly type: "gone"; readonly cause: StopCause };

export type LifeEvent =
  | { readonly type: "ready"; readonly nowMs: number }
  | { readonly type: "take" }
  | { readonly type: "give"; readonly nowMs: number }
  | { readonly type: "freeze" }
  | { readonly type: "frozen" }
  | { readonly type: "thaw" }
  | { readonly type: "thawed"; readonly nowMs: number }
  | { readonly type: "retire"; readonly cause: StopCause }
  | { readonly type: "stop"; readonly cause: StopCause }
  | { readonly type: "removed" };

/**
 * The only way from one state to the next. An event that has no meaning in a state leaves it as it is: `give` after the sandbox
 * died, a second `stop` or `retire`. The first cause of an end is kept.
 */
export function advance(state: LifeState, event: LifeEvent): LifeState {
  switch (event.type) {
    case "ready":
      return state.type === "starting" ? { type: "hot", slotsUsed: 0, idleSinceMs: event.nowMs } : state;
    case "take":
      return state.type === "hot" ? { ...state, slotsUsed: state.slotsUsed + 1 } : state;
    case "give":
      return give(state, event.nowMs);
    case "freeze":
      return state.type === "hot" && state.slotsUsed === 0
        ? { type: "freezing", idleSinceMs: state.idleSinceMs }
        : state;
    case "frozen":
      return state.type === "freezing" ? { type: "frozen", idleSinceMs: state.idleSinceMs } : state;
    case "thaw":
      return state.type === "frozen" ? { type: "thawing", idleSinceMs: state.idleSinceMs } : state;
    case "thawed":
      // Woken for a call: its idle clock starts anew, or it could expire before that call takes its slot.
      return state.type === "thawing" ? { type: "hot", slotsUsed: 0, idleSinceMs: event.nowMs } : state;
    case "retire":
      return retire(state, event.cause);
    case "stop":
      return stop(state, event.cause);
    case "removed":
      return state.type === "stopping" ? { type: "gone", cause: state.cause } : state;
    default:
      return assertNever(event);
  }
}

/** No code of a caller runs in it, and none is about to. */
export function isIdle(state: LifeState): boolean {
  return (state.type === "hot" && state.slotsUsed === 0) || state.type === "frozen";
}

/** Whether it still counts as one of its task's sandboxes. */
export function isServing(state: LifeState): boolean {
  return state.type !== "retiring" && state.type !== "stopping" && state.type !== "gone";
}

/** Whether its idle clock has run out. A sandbox with a call on it is never idle. */
export function isExpired(state: LifeState, nowMs: number, idleTimeoutMs: number): boolean {
  const sinceMs = idleSince(state);
  return sinceMs !== undefined && nowMs - sinceMs >= idleTimeoutMs;
}

export function idleSince(state: LifeState): number | undefined {
  if (state.type === "hot") return state.slotsUsed === 0 ? state.idleSinceMs : undefined;
  return state.type === "frozen" ? state.idleSinceMs : undefined;
}

export function slotsUsed(state: LifeState): number {
  return state.type === "hot" || state.type === "retiring" ? state.slotsUsed : 0;
}

function give(state: LifeState, nowMs: number): LifeState {
  if (state.type === "hot" && state.slotsUsed > 0) {
    return { type: "hot", slotsUsed: state.slotsUsed - 1, idleSinceMs: nowMs };
  }
  if (state.type === "retiring" && state.slotsUsed > 0) return { ...state, slotsUsed: state.slotsUsed - 1 };
  return state;
}

function retire(state: LifeState, cause: StopCause): LifeState {
  // Its calls were promised their end; a second reason takes nothing of that back.
  if (state.type === "retiring") return state;
  return state.type === "hot" && state.slotsUsed > 0
    ? { type: "retiring", slotsUsed: state.slotsUsed, cause }
    : stop(state, cause);
}

function stop(state: LifeState, cause: StopCause): LifeState {
  switch (state.type) {
    case "retiring":
      return { type: "stopping", cause: state.cause };
    case "stopping":
    case "gone":
      return state;
    case "starting":
    case "hot":
    case "freezing":
    case "frozen":
    case "thawing":
      return { type: "stopping", cause };
    default:
      return assertNever(state);
  }
}
