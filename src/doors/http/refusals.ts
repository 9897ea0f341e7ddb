import type { ErrorCode } from "../../core/index.ts";

/** Counts calls that were turned away before they were one: the executor never heard of them. */
export class Refusals {
  readonly byCode = new Map<ErrorCode, number>();

  add(code: ErrorCode): void {
    this.byCode.set(code, (this.byCode.get(code) ?? 0) + 1);
  }
}
