import type { CardHandover, DriverSettings, HandoverAnswer, Log } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { isProbeArchitecture, withDeadline } from "../../../std/index.ts";
import { cardsRefused } from "../container/gpu-request.ts";
import { EngineError } from "../engine/engine-error.ts";
import type { RuntimeName } from "../isolation/configured-class.ts";
import { configuredClasses } from "../isolation/configured-class.ts";
import { PROBE_PATH } from "../isolation/probe-image.ts";
import type { ProbeWorld } from "../isolation/probe-sandbox.ts";
import { runTestSandbox } from "../isolation/probe-sandbox.ts";

/** NVIDIA's hook may have to wake cards that sleep without persistence, seconds for each. */
const TRIAL_DEADLINE_MS = 30_000;
/** One card that cannot be handed over says little about the others; so many say enough. */
const MOST_CARDS_TRIED = 4;
const NOTHING_CAN = /could not select device driver/i;

/** Runs one container that asks for a card. Rejects as the engine does. */
export type TryCard = (
  gpuId: string,
  runtime: RuntimeName | undefined,
  signal: AbortSignal,
) => Promise<unknown>;

export interface CardTrialOptions {
  readonly settings: DriverSettings;
  readonly log: Log | undefined;
  readonly tryCard: TryCard;
  /** Runs a trial alongside, under a signal that aborts, or has, when the driver closes. */
  spawn(trial: (signal: AbortSignal) => Promise<void>): void;
}

/**
 * Whether this engine gives its containers cards. An engine without NVIDIA's tools takes the request when a container is made and
 * refuses it when that starts, so only a start tells. What was found stays until the engine returns or its runtime is another.
 */
export class CardTrial implements CardHandover {
  readonly #options: CardTrialOptions;
  readonly #listeners = new Set<() => void>();
  #runtime: RuntimeName | undefined;
  #gpuIds: readonly string[] = [];
  #answer: HandoverAnswer = { type: "untried" };
  /** What is known is of an engine, or a runtime, that may be another now. */
  #isDue = true;
  #trial: Promise<void> | undefined;

  constructor(options: CardTrialOptions) {
    this.#options = options;
    this.#runtime = configuredClasses(options.settings)[0]?.runtime;
  }

  get answer(): HandoverAnswer {
    return this.#answer;
  }

  offer(gpuIds: readonly string[]): void {
    this.#gpuIds = gpuIds;
    this.#tryIfDue();
  }

  /** The engine was away, or somebody wants to know anew. Until that is known, what was known before holds. */
  again(): void {
    this.#isDue = true;
    this.#tryIfDue();
  }

  configure(settings: DriverSettings): void {
    const runtime = configuredClasses(settings)[0]?.runtime;
    if (runtime === this.#runtime) return;
    this.#runtime = runtime;
    this.again();
  }

  async tried(): Promise<HandoverAnswer> {
    while (this.#trial !== undefined) await this.#trial;
    return this.#answer;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tryIfDue(): void {
    if (!this.#isDue || this.#trial !== undefined || this.#gpuIds.length === 0) return;
    this.#isDue = false;
    const gpuIds = this.#gpuIds.slice(0, MOST_CARDS_TRIED);
    this.#trial = new Promise((resolve) => {
      this.#options.spawn(async (signal) => {
        // Never ends before this promise is known as the trial under way.
        await Promise.resolve();
        try {
          if (!signal.aborted) this.#take(await this.#tryAll(gpuIds, signal));
        } finally {
          this.#trial = undefined;
          resolve();
          if (!signal.aborted) this.#tryIfDue();
        }
      });
    });
  }

  /** @returns `undefined` when it could not be tried, which says nothing. */
  async #tryAll(gpuIds: readonly string[], signal: AbortSignal): Promise<HandoverAnswer | undefined> {
    let refused: HandoverAnswer | undefined;
    for (const gpuId of gpuIds) {
      const reason = await this.#tryOne(gpuId, signal);
      if (reason === null) return { type: "usable" };
      if (reason === undefined) return undefined;
      refused = { type: "refused", reason };
      if (NOTHING_CAN.test(reason)) break;
    }
    return refused;
  }

  /** @returns why it was refused; `null` when it was given; `undefined` when that cannot be told. */
  async #tryOne(gpuId: string, signal: AbortSignal): Promise<string | null | undefined> {
    const deadline = { ms: TRIAL_DEADLINE_MS, code: "ENGINE_UNAVAILABLE", parent: signal } as const;
    try {
      await withDeadline(deadline, (within) => this.#options.tryCard(gpuId, this.#runtime, within));
      return null;
    } catch (thrown) {
      return thrown instanceof EngineError ? cardsRefused([gpuId], thrown.reason) : undefined;
    }
  }

  #take(found: HandoverAnswer | undefined): void {
    const before = this.#answer;
    const isFirst = before.type === "untried";
    this.#answer = found ?? (isFirst ? { type: "usable" } : before);
    const isNews = this.#tell(reasonOf(before), reasonOf(this.#answer));
    if (isFirst || isNews) for (const listener of [...this.#listeners]) listener();
  }

  /** @returns whether there was anything to tell. */
  #tell(before: string | undefined, now: string | undefined): boolean {
    if (before === now) return false;
    const { log } = this.#options;
    if (now === undefined) log?.log("info", "gpu.regained", { driver: "docker" });
    else log?.log("warn", "gpu.lost", { driver: "docker", reason: now });
    return true;
  }
}

function reasonOf(answer: HandoverAnswer): string | undefined {
  return answer.type === "refused" ? answer.reason : undefined;
}

/** One short-lived container of ours with that card and no network. */
export function cardTrier(world: Omit<ProbeWorld, "maker">): TryCard {
  return async (gpuId, runtime, signal) => {
    const { architecture } = world.engine;
    if (!isProbeArchitecture(architecture)) {
      throw new ExecutorError("ENGINE_FAILED", { reason: `there is no test program for ${architecture}` });
    }
    const plan = { command: [PROBE_PATH, "kernel"], runtime, gpuIds: [gpuId] };
    await runTestSandbox(world, { architecture, place: undefined, plan }, signal);
  };
}
