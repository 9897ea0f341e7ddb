export type { Backoff, RetryOptions } from "./backoff.ts";
export { backoffMs, retry } from "./backoff.ts";
export type { ListenAddress } from "./check-address.ts";
export { checkAddresses, notListening, urlHost } from "./check-address.ts";
export type { Deadline } from "./deadline.ts";
export { orAbort, withDeadline } from "./deadline.ts";
export type { EitherSignal } from "./either-signal.ts";
export { eitherSignal } from "./either-signal.ts";
export { findOnPath } from "./find-on-path.ts";
export type { Firewall, FirewallOptions, OpenedFirewall, RulesetPlan } from "./firewall/index.ts";
export {
  CLOSED_RANGES,
  forwardDroppers,
  hostResolvers,
  openFirewall,
  rulesetText,
  tableName,
} from "./firewall/index.ts";
export { seesMarker } from "./folder-marker.ts";
export { makeUsable, openToAll } from "./folder-modes.ts";
export { isLoopback } from "./is-loopback.ts";
export { LateRequests } from "./late-requests.ts";
export { pause } from "./pause.ts";
export type { ProbeArchitecture, ProbeQuestions } from "./probe-program/probe-program.ts";
export {
  isProbeArchitecture,
  PROBE_CPU_MILLIS,
  PROBE_MEMORY_BYTES,
  probeArguments,
  probeProgram,
} from "./probe-program/probe-program.ts";
export type { Child } from "./scope.ts";
export { Scope } from "./scope.ts";
export { settledWithin } from "./settled-within.ts";
export { sleep } from "./sleep.ts";
export { systemClock } from "./system-clock.ts";
export { type Turns, takeTurns } from "./take-turns.ts";
export { TimerWheel, type WheelTimer } from "./timer-wheel.ts";
export { whyNotMade } from "./why-not-made.ts";
