export type { Backoff, RetryOptions } from "./backoff.ts";
export { backoffMs, retry } from "./backoff.ts";
export type { Deadline } from "./deadline.ts";
export { orAbort, withDeadline } from "./deadline.ts";
export type { Child } from "./scope.ts";
export { Scope } from "./scope.ts";
export { sleep } from "./sleep.ts";
export { systemClock } from "./system-clock.ts";
export { TimerWheel, type WheelTimer } from "./timer-wheel.ts";
