import type { Clock, SessionId, Settings } from "../../core/index.ts";
import type { SessionView } from "../executor.ts";
import type { Pin, SandboxOwner } from "../sandboxes/sandbox-owner.ts";

/** One claim to one sandbox, and its clocks: an idle life that each call extends, and a longest life that nothing does. */
export class Session implements Pin {
  readonly owner: SandboxOwner;
  /** `undefined`: a hold, which is for every caller of the task. */
  readonly sessionId: SessionId | undefined;
  isOpen = true;
  readonly #clock: Clock;
  readonly #settings: () => Settings;
  readonly #openedAtMs: number;
  #touchedAtMs: number;
  #calls = 0;

  constructor(
    owner: SandboxOwner,
    sessionId: SessionId | undefined,
    { clock, settings }: { readonly clock: Clock; settings(): Settings },
  ) {
    this.owner = owner;
    this.sessionId = sessionId;
    this.#clock = clock;
    this.#settings = settings;
    this.#openedAtMs = clock.nowMs();
    this.#touchedAtMs = this.#openedAtMs;
  }

  get isForAll(): boolean {
    return this.sessionId === undefined;
  }

  /** When it runs out if nothing comes; the settings of the moment count. */
  get dueMs(): number {
    const { sessionIdleMs, sessionMaxMs } = this.#settings();
    return Math.min(this.#touchedAtMs + sessionIdleMs, this.#openedAtMs + sessionMaxMs);
  }

  begin(): void {
    this.#calls += 1;
  }

  callEnded(): void {
    this.#calls -= 1;
    this.touch();
  }

  touch(): void {
    this.#touchedAtMs = this.#clock.nowMs();
  }

  /** While a call of it waits or runs only its longest life can end it. */
  isExpired(nowMs: number): boolean {
    const { sessionIdleMs, sessionMaxMs } = this.#settings();
    if (nowMs - this.#openedAtMs >= sessionMaxMs) return true;
    const isBusy = this.#calls > 0 || (this.isForAll && this.owner.slotsUsed > 0);
    return !isBusy && nowMs - this.#touchedAtMs >= sessionIdleMs;
  }

  view(nowMs: number): SessionView {
    const { owner } = this;
    return {
      sessionId: this.sessionId,
      sandboxId: owner.id,
      taskKey: owner.taskKey,
      task: owner.task,
      calls: this.#calls,
      ageMs: nowMs - this.#openedAtMs,
      expiresInMs: Math.max(0, this.dueMs - nowMs),
    };
  }
}
