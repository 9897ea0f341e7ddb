/**
 * The bounds of the reliability matrix are for a quiet machine. A test here only tells an end from none, on a machine that may do
 * much else: it takes them this many times.
 */
export const SLACK = 20;
