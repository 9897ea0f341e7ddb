const DEFAULT = 20;
/** What `poll` waits by itself. */
const PATIENCE_MS = 60_000;

/** What `HEARTH_TEST_SLACK` says, or 20. @throws when it is no number from 1 on: less than a bound itself is nobody's promise. */
export function slackOf(text: string | undefined): number {
  const slack = Number(text ?? DEFAULT);
  if (text?.trim() === "" || !Number.isFinite(slack) || slack < 1)
    throw new Error(`HEARTH_TEST_SLACK must be a number from 1 on, not "${text}"`);
  return slack;
}

/**
 * The bounds of the reliability matrix are for a quiet machine. A test here only tells an end from none, on a machine that may do
 * much else: it takes them this many times. `HEARTH_TEST_SLACK=1` asks for the bounds themselves.
 */
export const SLACK = slackOf(process.env["HEARTH_TEST_SLACK"]);

/** A row's bound for a wait: on a machine that may do much else at least as long as `poll` waits for anything. */
export function rowWithin(ms: number, slack = SLACK): number {
  return slack < DEFAULT ? ms * slack : Math.max(ms * slack, PATIENCE_MS);
}
