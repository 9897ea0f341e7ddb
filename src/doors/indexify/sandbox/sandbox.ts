import type { Clock, Endpoint, Log, SandboxEnd } from "../../../core/index.ts";
import { ContainerTerminationReason } from "../../../gen/executor_api_pb.js";
import { pause } from "../../../std/index.ts";
import type { SandboxOrder } from "../commands/orders.ts";
import type { ContainerCondition } from "../reconcile/plan.ts";
import { startFailure } from "../worker/start-worker.ts";
import { Lifetime } from "./lifetime.ts";

/** A sandbox's container as it runs. */
export interface SandboxProcess {
  /** Where what listens in it is reached from here; `undefined` where that port cannot be. */
  endpointOf(port: number): Endpoint | undefined;
  /** Resolves once, when it runs no more; never rejects. */
  readonly ended: Promise<SandboxEnd>;
  /** Asks it to end and, after the grace, ends it with everything that it has started. Resolves when nothing is left; never rejects. */
  kill(graceMs: number): Promise<void>;
}

export interface SandboxTimes {
  /** One that ends this soon has not started: what it was to run is not there, or is not a server. */
  readonly settleMs: number;
  /** Between the wish that one whose time is over ends by itself, and its end. */
  readonly graceMs: number;
}

/** As in `contracts/indexify.md` section 4.8 and 6.2. */
export const SANDBOX_TIMES: SandboxTimes = { settleMs: 250, graceMs: 10_000 };

export interface SandboxOptions {
  readonly order: SandboxOrder;
  readonly clock: Clock;
  readonly log: Log;
  readonly times: SandboxTimes;
  /** @throws {@link ExecutorError} why there is none. */
  launch(order: SandboxOrder, signal: AbortSignal): Promise<SandboxProcess>;
  /** Its condition is another now. */
  onChange(sandbox: Sandbox): void;
}

/** What the program of a container could not be, by the words of its first process. */
const NO_PROGRAM = new Set([126, 127]);

/**
 * One sandbox from its start to its end, in the states of a worker. What runs in it is its user's: nobody here talks to it but the
 * proxy, and it is healthy while its container runs.
 */
export class Sandbox {
  readonly #options: SandboxOptions;
  readonly #gone = new AbortController();
  readonly #lifetime: Lifetime;
  #order: SandboxOrder;
  #condition: ContainerCondition = { type: "starting" };
  #launching: Promise<SandboxProcess> | undefined;
  #process: SandboxProcess | undefined;
  #over: Promise<void> | undefined;

  constructor(options: SandboxOptions) {
    this.#options = options;
    this.#order = options.order;
    this.#lifetime = new Lifetime(options.clock, () => this.#expire());
  }

  get order(): SandboxOrder {
    return this.#order;
  }

  get condition(): ContainerCondition {
    return this.#condition;
  }

  /** Aborts when nothing may be asked of it any more. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Where it is reached; `undefined` while it does not run, or where that port of it cannot be reached from here. */
  endpointOf(port: number): Endpoint | undefined {
    return this.#condition.type === "running" ? this.#process?.endpointOf(port) : undefined;
  }

  /** Resolves when it has ended; never rejects. */
  async run(): Promise<void> {
    const { log, launch } = this.#options;
    const containerId = this.#order.id;
    try {
      this.#launching = launch(this.#order, this.gone);
      const process = await this.#launching;
      if (await this.#settles(process)) {
        this.#process = process;
        log.log("info", "indexify.sandbox-started", { containerId });
        this.#become({ type: "running" });
        this.#lifetime.follow(this.#order.description.sandboxMetadata);
        this.#followEnd(process);
      }
    } catch (error) {
      if (!this.gone.aborted) {
        log.log("warn", "indexify.sandbox-failed", { containerId, error });
        await this.stop(startFailure(error));
      }
    }
    await this.#over;
  }

  /** It is described anew: its user may now be known, and its time begins. */
  update(order: SandboxOrder): void {
    this.#order = order;
    if (this.#condition.type === "running") this.#lifetime.follow(order.description.sandboxMetadata);
  }

  /** Ends it. The first reason counts. Resolves when nothing of it is left. */
  stop(reason: ContainerTerminationReason, graceMs = 0): Promise<void> {
    this.#over ??= this.#stop(reason, graceMs);
    return this.#over;
  }

  /** Whether it still runs after a moment; one that does not is ended, with the reason. */
  async #settles(process: SandboxProcess): Promise<boolean> {
    const { clock, log, times } = this.#options;
    const waited = pause(clock, times.settleMs, this.gone).then(() => undefined);
    const end = await Promise.race([process.ended, waited]);
    if (this.gone.aborted) return false;
    if (end === undefined) return true;
    log.log("warn", "indexify.sandbox-ended", { containerId: this.#order.id, ...end });
    await this.stop(
      end.type === "exited" && NO_PROGRAM.has(end.exitCode)
        ? ContainerTerminationReason.STARTUP_FAILED_BAD_IMAGE
        : ContainerTerminationReason.STARTUP_FAILED_INTERNAL_ERROR,
    );
    return false;
  }

  #followEnd(process: SandboxProcess): void {
    const { log } = this.#options;
    process.ended
      .then((end) => {
        if (this.#over !== undefined) return undefined;
        log.log("info", "indexify.sandbox-ended", { containerId: this.#order.id, ...end });
        return this.stop(reasonOf(end));
      })
      .catch((error: unknown) => log.log("error", "executor.failed", { error }));
  }

  #expire(): void {
    this.#options.log.log("info", "indexify.sandbox-expired", { containerId: this.#order.id });
    this.stop(ContainerTerminationReason.FUNCTION_TIMEOUT, this.#options.times.graceMs).catch(
      () => undefined,
    );
  }

  async #stop(reason: ContainerTerminationReason, graceMs: number): Promise<void> {
    this.#lifetime.end();
    this.#become({ type: "stopping" });
    this.#gone.abort(new Error("the sandbox has ended, or is being ended"));
    // A start that obeys the signal ends soon; one that came up all the same is ended like any other.
    const process = await this.#launching?.catch(() => undefined);
    await process?.kill(graceMs);
    this.#become({ type: "terminated", reason });
  }

  #become(condition: ContainerCondition): void {
    this.#condition = condition;
    this.#options.onChange(this);
  }
}

function reasonOf(end: SandboxEnd): ContainerTerminationReason {
  if (end.type === "memory") return ContainerTerminationReason.OOM;
  if (end.type === "lost") return ContainerTerminationReason.INTERNAL_ERROR;
  return ContainerTerminationReason.PROCESS_CRASH;
}
