import type { Clock, Log } from "../../../core/index.ts";
import { isRpcError, RPC_CODES } from "../../../std/grpc/rpc-error.ts";
import { backoffMs, pause } from "../../../std/index.ts";
import type { Sequence } from "./sequence.ts";

export interface PollOptions<T extends { readonly seq: bigint }> {
  readonly name: "commands" | "results";
  readonly sequence: Sequence;
  readonly times: { readonly pollRetry: { readonly firstMs: number; readonly maxMs: number } };
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** One long poll, which obeys the signal. */
  fetch(acknowledged: bigint | undefined): Promise<readonly T[]>;
  /** `false`: it cannot be taken now. */
  apply(item: T): boolean;
  /** A poll failed; not one that was given up. */
  onFailed(): void;
  /** Numbers are missing. Polling goes on slowly until it is stopped. */
  onGap(): void;
}

/** So many answers in a row that are too large to be taken. */
const TOO_LARGE_BEFORE_SKIP = 3;

/** As grpc-js says it; a server that is too busy says something else with the same code. */
function isTooLarge(error: unknown): boolean {
  return (
    isRpcError(error, RPC_CODES.resourceExhausted) && error.details.startsWith("Received message larger")
  );
}

/**
 * Polls one of the server's numbered streams until its signal aborts; never rejects. What comes after the abort is dropped.
 *
 * An answer that is larger than what may be received is one item, since the server ends its answers at 8 MiB: it would come again
 * without end, and nothing after it. It is given up.
 */
export async function pollInOrder<T extends { readonly seq: bigint }>(
  options: PollOptions<T>,
): Promise<void> {
  const { name, sequence, times, clock, log, signal } = options;
  let failures = 0;
  let tooLarge = 0;
  const backOff = async (): Promise<void> => {
    failures += 1;
    await pause(clock, backoffMs(times.pollRetry, failures, Math.random()), signal);
  };
  for (;;) {
    if (isOver(signal)) return;
    const askedAtMs = clock.nowMs();
    let items: readonly T[];
    try {
      items = await options.fetch(sequence.acknowledged);
    } catch (error) {
      if (isOver(signal)) return;
      log.log("debug", "indexify.poll-failed", { stream: name, error });
      options.onFailed();
      tooLarge = isTooLarge(error) ? tooLarge + 1 : 0;
      if (tooLarge === TOO_LARGE_BEFORE_SKIP) {
        tooLarge = 0;
        sequence.skip();
        const faults = ["it is larger than what may be received"];
        log.log("error", "indexify.command-refused", {
          stream: name,
          seq: String(sequence.acknowledged),
          faults,
        });
      }
      await backOff();
      continue;
    }
    tooLarge = 0;
    const outcome = sequence.take(items, (item) => options.apply(item));
    // A server that does not hold its polls must not be asked without a pause.
    const isHeld = items.length > 0 || clock.nowMs() - askedAtMs >= times.pollRetry.firstMs;
    if (outcome === "done" && isHeld) {
      failures = 0;
      continue;
    }
    if (outcome === "gap") {
      log.log("warn", "indexify.gap", { stream: name, applied: String(sequence.acknowledged ?? 0n) });
      options.onGap();
    }
    await backOff();
  }
}

/** A function, because the compiler believes that a signal which was not aborted once never is. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}
