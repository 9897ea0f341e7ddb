/** The buckets of the Indexify door's metrics: those of the executors that it stands in for (`contracts/indexify.md` 9.2). */

/** Numbers from one to another, both included; written as people would write them. */
function range(from: number, to: number, step: number): number[] {
  const count = Math.round((to - from) / step);
  return Array.from({ length: count + 1 }, (_, at) => Number((from + at * step).toFixed(6)));
}

const MINUTES = range(60, 600, 60);

/** Seconds, of what is ours. */
export const FAST_BUCKETS: readonly number[] = [
  ...range(0.001, 0.01, 0.001),
  ...range(0.015, 0.1, 0.005),
  ...range(0.15, 2, 0.05),
  ...range(2.1, 3, 0.1),
  ...[3.5, 4, 4.5, 5, 10, 60],
];

/** Seconds, of what ends processes. */
export const SLOW_BUCKETS: readonly number[] = [
  ...range(0.01, 0.1, 0.01),
  ...range(0.2, 1, 0.1),
  ...range(2, 10, 1),
  ...range(15, 50, 5),
  ...MINUTES,
  1200,
];

/** Seconds, of what runs a function's own code. */
export const CUSTOMER_BUCKETS: readonly number[] = [
  ...[0.001, 0.005, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5],
  ...range(1, 10, 1),
  ...[15, 20, 30, 40, 50],
  ...MINUTES,
  ...[1200, 1800, 2400, 3000],
  ...[1, 2, 3, 4, 5, 10, 20].map((hours) => 3600 * hours),
  ...[86_400, 172_800],
];

/** Megabytes of messages. */
export const SIZE_BUCKETS: readonly number[] = [
  ...[0.01, 0.1, 0.5, 1, 5],
  ...range(10, 100, 10),
  ...[150, 200, 1000, 10_000],
];
