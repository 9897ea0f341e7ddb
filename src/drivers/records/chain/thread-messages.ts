import type { ErrorCode, ErrorFacts } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { ChainWriter } from "./chain-writer.ts";

/** What the daemon asks of the thread that keeps the chain. */
export interface Question {
  readonly id: number;
  readonly verb: keyof ChainWriter;
  readonly args: readonly unknown[];
}

/** Its answer; the first, with the id 0, says how opening went. */
export interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: SentError;
}

/** An error without what cannot be sent. */
interface SentError {
  readonly code: ErrorCode;
  readonly facts: ErrorFacts;
  readonly cause: string;
}

export function sendError(error: unknown): SentError {
  const { code, facts, cause } = ExecutorError.from(error);
  return { code, facts, cause: cause instanceof Error ? cause.message : "" };
}

export function receiveError({ code, facts, cause }: SentError): ExecutorError {
  return new ExecutorError(code, facts, cause === "" ? {} : { cause: new Error(cause) });
}
