import type { Clock, IsolationClass, SandboxDriver } from "../../core/index.ts";

/** How often a class that cannot be used is tested anew because somebody asks for it. */
const RETRY_MS = 30_000;

export interface ClassRetriesOptions {
  readonly driver: SandboxDriver;
  readonly clock: Clock;
  readonly ending: AbortSignal;
  track(work: Promise<void>): void;
}

/** Notices that a class which was refused has become usable: a request for it has it tested again, behind that request's back. */
export class ClassRetries {
  readonly #options: ClassRetriesOptions;
  readonly #triedAtMs = new Map<IsolationClass, number>();

  constructor(options: ClassRetriesOptions) {
    this.#options = options;
  }

  /** Somebody has asked for a class and was refused. */
  refused(isolation: IsolationClass): void {
    const { driver, clock, ending, track } = this.#options;
    const report = driver.classes().find((one) => one.isolation === isolation);
    const nowMs = clock.nowMs();
    // What is not configured at all does not come by itself.
    if (report?.state !== "unusable" || nowMs - (this.#triedAtMs.get(isolation) ?? -RETRY_MS) < RETRY_MS)
      return;
    this.#triedAtMs.set(isolation, nowMs);
    track(
      driver.probe(ending, isolation).then(
        () => undefined,
        () => undefined, // the executor ends, or the engine is away: whoever asks next has it tried again
      ),
    );
  }
}
