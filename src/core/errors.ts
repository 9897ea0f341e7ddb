import { ERRORS, type ErrorSpec } from "./error-register.ts";

export type ErrorCode = keyof typeof ERRORS;

/** Facts about one error: short, printable, never a secret. `reason` is a sentence that a person reads. */
export type ErrorFacts = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

/** How *we* fail. A task that fails is an outcome, not one of these, unless it failed to answer at all. */
export class ExecutorError extends Error {
  override readonly name = "ExecutorError";
  readonly code: ErrorCode;
  readonly facts: ErrorFacts;

  constructor(code: ErrorCode, facts: ErrorFacts = {}, options: { readonly cause?: unknown } = {}) {
    super(describe(code, facts), options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.facts = facts;
  }

  get spec(): ErrorSpec {
    return ERRORS[this.code];
  }

  /**
   * Turns anything thrown into one of ours: a disk without room, wherever that was noticed, is `DISK_FULL`; what else is not ours
   * is `INTERNAL`. Its text is kept in `cause` only.
   */
  static from(thrown: unknown): ExecutorError {
    if (thrown instanceof ExecutorError) return thrown;
    return new ExecutorError(isDiskFull(thrown) ? "DISK_FULL" : "INTERNAL", {}, { cause: thrown });
  }
}

/** @see open(2), write(2): ENOSPC is the disk's end, EDQUOT a quota's. */
function isDiskFull(thrown: unknown): boolean {
  if (!(thrown instanceof Error) || !("code" in thrown)) return false;
  return thrown.code === "ENOSPC" || thrown.code === "EDQUOT";
}

/** `text` of the code, then the facts a caller can act on. */
function describe(code: ErrorCode, facts: ErrorFacts): string {
  const text = ERRORS[code].text;
  const reason = facts["reason"];
  const rest = Object.entries(facts)
    .filter(([name, value]) => name !== "reason" && name !== "logTail" && value !== undefined)
    .map(([name, value]) => `${name} ${Array.isArray(value) ? value.join(", ") : String(value)}`);
  const head = typeof reason === "string" ? `${text}: ${reason}` : text;
  const whole = rest.length === 0 ? head : `${head} (${rest.join("; ")})`;
  const tail = facts["logTail"];
  return typeof tail === "string" && tail !== "" ? `${whole}; its log ends:\n${tail}` : whole;
}
