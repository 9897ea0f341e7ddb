import type { Clock, SandboxEnd } from "../../core/index.ts";

/**
 * Who waits for a sandbox's end, for as long as they wait: a promise that is raced for keeps all who ever did until it settles, and a
 * sandbox may live for weeks.
 */
export class EndNews {
  readonly #clock: Clock;
  readonly #waiting = new Set<(end: SandboxEnd | undefined) => void>();
  #end: SandboxEnd | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  tell(end: SandboxEnd): void {
    this.#end = end;
    for (const done of [...this.#waiting]) done(end);
  }

  /** The end, at once if it is known; `undefined` when none has come in this time. */
  within(waitMs: number): Promise<SandboxEnd | undefined> {
    if (this.#end !== undefined) return Promise.resolve(this.#end);
    return new Promise((resolve) => {
      const done = (end: SandboxEnd | undefined): void => {
        cancel();
        this.#waiting.delete(done);
        resolve(end);
      };
      const cancel = this.#clock.after(waitMs, () => done(undefined));
      this.#waiting.add(done);
    });
  }

  get waiting(): number {
    return this.#waiting.size;
  }
}
