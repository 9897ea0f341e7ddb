import type { ErrorKind } from "../../core/index.ts";
import { ERRORS, ExecutorError } from "../../core/index.ts";

/** One fault of a request, as the original's framework writes it (`contracts/executer-tracker.md` 3 and 8). */
export interface Fault {
  /** `body`, `query` or `path`, then the names down to the field. */
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly type: string;
}

/** A request that is answered with an error: what its body says is part of the contract. */
export class ApiRefusal extends Error {
  override readonly name = "ApiRefusal";
  readonly status: number;
  readonly detail: string | readonly Fault[];

  constructor(status: number, detail: string | readonly Fault[], options?: ErrorOptions) {
    super(typeof detail === "string" ? detail : "the request does not fit its schema", options);
    this.status = status;
    this.detail = detail;
  }

  /** Whatever was thrown, as an answer. The text of what is not ours stays inside. */
  static from(thrown: unknown): ApiRefusal {
    if (thrown instanceof ApiRefusal) return thrown;
    const error = ExecutorError.from(thrown);
    const { kind, text } = ERRORS[error.code];
    return new ApiRefusal(STATUS[kind] ?? 500, text, { cause: error });
  }
}

export function taskNotFound(): ApiRefusal {
  return new ApiRefusal(404, "Task not found");
}

/** A 422 for one field. */
export function invalid(loc: Fault["loc"], msg: string, type = "value_error"): ApiRefusal {
  return new ApiRefusal(422, [{ loc, msg, type }]);
}

/** What an error from below means to a client of this API; the rest are defects of ours. */
const STATUS: Partial<Record<ErrorKind, number>> = {
  not_found: 404,
  too_large: 413,
  timeout: 408,
  infrastructure: 503,
  busy: 503,
  draining: 503,
};
