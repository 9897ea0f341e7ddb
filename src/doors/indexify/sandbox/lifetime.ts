import type { Clock } from "../../../core/index.ts";
import type { SandboxMetadata } from "../../../gen/executor_api_pb.js";

/** The longest that a timer can wait at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** The time that a sandbox has: it begins when the sandbox is given to a user, and a warm one of a pool waits for that without end. */
export class Lifetime {
  readonly #clock: Clock;
  readonly #onOver: () => void;
  #givenAtMs: number | undefined;
  #cancel: () => void = () => undefined;

  constructor(clock: Clock, onOver: () => void) {
    this.#clock = clock;
    this.#onOver = onOver;
  }

  /** Goes by what the server says now; 0 or nothing is without end. */
  follow(metadata: SandboxMetadata | undefined): void {
    this.#cancel();
    if (metadata?.sandboxId === undefined || metadata.sandboxId === "") return;
    this.#givenAtMs ??= this.#clock.nowMs();
    const lifeMs = Number(metadata.timeoutSecs ?? 0n) * 1000;
    if (lifeMs > 0) this.#arm(this.#givenAtMs + lifeMs);
  }

  end(): void {
    this.#cancel();
  }

  #arm(endsAtMs: number): void {
    const leftMs = Math.max(0, endsAtMs - this.#clock.nowMs());
    this.#cancel = this.#clock.after(Math.min(leftMs, LONGEST_MS), () => {
      if (leftMs > LONGEST_MS) this.#arm(endsAtMs);
      else this.#onOver();
    });
  }
}
