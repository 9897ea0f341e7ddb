import type { Log, NetworkPolicy } from "../../../core/index.ts";
import { backoffMs, Scope, sleep } from "../../../std/index.ts";
import { boundedWork } from "../bounded-work.ts";
import { isAway, mayStillCome } from "../engine/engine-error.ts";
import type { NetworkMaker } from "./make-network.ts";
import type { NetworkSandbox, TaskNetwork } from "./network-sandbox.ts";
import { RangeUsedUp } from "./subnets.ts";

/** Networks without a container kept of each policy: a start that finds no sandbox saves a third with one. */
const BARE_NETWORKS_AHEAD = 4;
/** Nothing is made until this long after the last start: making one takes the engine's time from a start. */
const QUIET_MS = 250;
/** More removals than this do not wait for a quiet moment: starts that never pause would pile them up without end. */
const SURPLUS_LIMIT = 32;
/** An engine that does not answer must not keep the daemon: what is left then is swept by the next life. */
const CLOSE_MS = 8000;
/** The same for the step that is under way. */
const LAST_STEP_MS = 5000;
const RETRY = { firstMs: 1000, maxMs: 60_000 } as const;

export interface PoolOptions {
  /** Network sandboxes to keep ready. */
  readonly ahead: number;
  readonly log: Log | undefined;
  /** See `World.inBackground`. */
  readonly inBackground: (work: () => Promise<void>) => void;
  readonly nowMs: () => number;
}

/** What a start took, and what it gives back. */
export type Taken =
  | { readonly type: "sandbox"; readonly sandbox: NetworkSandbox }
  | { readonly type: "network"; readonly network: TaskNetwork };

/**
 * Keeps network sandboxes ready:
 *
 *     (refill, when quiet) ──► fresh ──take──► in use ──give back──► used, for the same image only ──take──► in use
 *                                                            └─(enough already)──► removed, when quiet
 *
 * Nothing is made or removed while a start is under way, unless too much waits to be removed.
 */
export class NetworkPool implements AsyncDisposable {
  readonly #maker: NetworkMaker;
  readonly #options: PoolOptions;
  readonly #fresh: NetworkSandbox[] = [];
  readonly #used: NetworkSandbox[] = [];
  readonly #bare: TaskNetwork[] = [];
  /** Removals that wait for a quiet moment. */
  readonly #surplus: (() => Promise<void>)[] = [];
  readonly #scope = new Scope();
  /** The step that was begun last; never rejects. */
  #atWork: Promise<unknown> = Promise.resolve();
  #starts = 0;
  #isClosed = false;
  #lastStartMs = Number.NEGATIVE_INFINITY;
  #wake: () => void = () => undefined;

  constructor(maker: NetworkMaker, options: PoolOptions) {
    this.#maker = maker;
    this.#options = options;
  }

  /** Begins to keep the pool filled. */
  open(): void {
    this.#scope.spawn((signal) => this.#keep(signal));
  }

  /** How many sandboxes wait for a task. */
  get ready(): number {
    return this.#fresh.length + this.#used.length;
  }

  /** The pool makes and removes nothing until the returned function is called; calling it twice is once. */
  holdStill(): () => void {
    let isHeld = true;
    this.#starts += 1;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#starts -= 1;
      this.#lastStartMs = this.#options.nowMs();
      this.#wake();
    };
  }

  /** The best that is ready for an image: a sandbox that it has run in, a fresh one, a bare network; or nothing. Never waits. */
  take(imageDigest: string, policy: NetworkPolicy): Taken | undefined {
    const sandbox = policy === this.#maker.defaultPolicy ? this.#takeSandbox(imageDigest) : undefined;
    if (sandbox !== undefined) return { type: "sandbox", sandbox };
    const network = this.takeBare(policy);
    return network === undefined ? undefined : { type: "network", network };
  }

  /** A network with nothing in it, if there is one. Never waits. */
  takeBare(policy: NetworkPolicy): TaskNetwork | undefined {
    const at = this.#bare.findIndex((network) => network.policy === policy);
    return at < 0 ? undefined : this.#bare.splice(at, 1)[0];
  }

  /**
   * Makes a network now, for its caller. Where the range has no room left, what is kept ahead or waits to be removed gives way.
   *
   * @throws as {@link NetworkMaker.makeNetwork}.
   */
  async make(policy: NetworkPolicy): Promise<TaskNetwork> {
    try {
      return await this.#maker.makeNetwork(policy);
    } catch (thrown) {
      if (!(thrown instanceof RangeUsedUp)) throw thrown;
      // It may be making the last one, or be giving one back.
      await this.#atWork;
      const bare = this.takeBare(policy);
      if (bare !== undefined) return bare;
      await this.#giveWay(policy);
      return await this.#maker.makeNetwork(policy);
    }
  }

  async #giveWay(policy: NetworkPolicy): Promise<void> {
    const isOfSandboxes = policy === this.#maker.defaultPolicy;
    const sandbox = isOfSandboxes ? (this.#used.shift() ?? this.#fresh.shift()) : undefined;
    if (sandbox !== undefined) this.discard({ type: "sandbox", sandbox });
    await this.#removeSurplus();
  }

  async #removeSurplus(): Promise<void> {
    for (let removal = this.#surplus.shift(); removal !== undefined; removal = this.#surplus.shift()) {
      const step = removal;
      await this.#attempt(() => this.#removeOrKeep(step));
      // Kept: there is no engine to be asked for the others either.
      if (this.#surplus.includes(step)) return;
    }
  }

  /** Sandboxes are made of the default policy only. */
  #takeSandbox(imageDigest: string): NetworkSandbox | undefined {
    const used = this.#used.findIndex((sandbox) => sandbox.usedBy === imageDigest);
    return used >= 0 ? this.#used.splice(used, 1)[0] : this.#fresh.shift();
  }

  #countBare(policy: NetworkPolicy): number {
    return this.#bare.filter((network) => network.policy === policy).length;
  }

  /** Takes back what this image has run in, or removes it if there are enough. A bare network remembers nothing of its user. */
  giveBack(taken: Taken, imageDigest: string): void {
    const isOpen = !this.#scope.signal.aborted;
    if (taken.type === "network" && isOpen && this.#countBare(taken.network.policy) < BARE_NETWORKS_AHEAD) {
      this.#bare.push(taken.network);
      return;
    }
    if (taken.type === "network" || !isOpen || this.#options.ahead === 0) {
      this.discard(taken);
      return;
    }
    this.#used.push({ ...taken.sandbox, usedBy: imageDigest });
    const oldest = this.#used.length > this.#options.ahead / 2 ? this.#used.shift() : undefined;
    if (oldest !== undefined) this.discard({ type: "sandbox", sandbox: oldest });
  }

  /** Removes it at a quiet moment. */
  discard(taken: Taken): void {
    this.later(() =>
      taken.type === "sandbox"
        ? this.#maker.removeSandbox(taken.sandbox)
        : this.#maker.removeNetwork(taken.network),
    );
  }

  /** Runs some tidying when no start is under way, and when the pool closes at the latest; afterwards at once. Its failure is logged. */
  later(removal: () => Promise<void>): void {
    if (this.#isClosed) {
      this.#options.inBackground(removal);
      return;
    }
    this.#surplus.push(removal);
    this.#wake();
  }

  /** Forgets what the engine has lost; the next refill makes new ones. */
  dropAll(): void {
    for (const sandbox of [...this.#fresh.splice(0), ...this.#used.splice(0)]) {
      this.discard({ type: "sandbox", sandbox });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await boundedWork(this.#scope[Symbol.asyncDispose](), AbortSignal.abort(), LAST_STEP_MS);
    this.dropAll();
    for (const network of this.#bare.splice(0)) this.discard({ type: "network", network });
    this.#isClosed = true;
    // Four at a time: the engine takes its network lock one by one anyhow.
    const work = Promise.all([1, 2, 3, 4].map(() => this.#removeSurplus()));
    await boundedWork(work, AbortSignal.abort(), CLOSE_MS);
  }

  async #keep(signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => this.#wake(), { once: true });
    let failures = 0;
    while (!signal.aborted) {
      const quietInMs = this.#starts > 0 ? QUIET_MS : this.#lastStartMs + QUIET_MS - this.#options.nowMs();
      if (quietInMs > 0 && this.#surplus.length <= SURPLUS_LIMIT) {
        await sleep(quietInMs, signal);
        continue;
      }
      const step = this.#nextStep();
      if (step === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      const attempt = this.#attempt(step);
      this.#atWork = attempt;
      failures = (await attempt) ? 0 : failures + 1;
      if (failures > 0) await sleep(backoffMs(RETRY, failures, Math.random()), signal);
    }
  }

  /** Takes the next piece of work; the caller does it. Tidying first: it gives addresses back. */
  #nextStep(): (() => Promise<void>) | undefined {
    const removal = this.#surplus.shift();
    if (removal !== undefined) return () => this.#removeOrKeep(removal);
    if (this.ready < this.#options.ahead) return () => this.#refill();
    const { defaultPolicy } = this.#maker;
    if (this.#countBare(defaultPolicy) < BARE_NETWORKS_AHEAD) {
      return () => this.#addBare();
    }
    return undefined;
  }

  async #removeOrKeep(removal: () => Promise<void>): Promise<void> {
    try {
      await removal();
    } catch (thrown) {
      // There is no engine to be asked: nothing else can be done either until there is.
      if (isAway(thrown) && !mayStillCome(thrown)) this.#surplus.unshift(removal);
      throw thrown;
    }
  }

  async #refill(): Promise<void> {
    const sandbox = await this.#maker.makeSandbox();
    if (this.#isClosed) this.discard({ type: "sandbox", sandbox });
    else this.#fresh.push(sandbox);
  }

  async #addBare(): Promise<void> {
    const network = await this.#maker.makeNetwork(this.#maker.defaultPolicy);
    if (this.#isClosed) this.discard({ type: "network", network });
    else this.#bare.push(network);
  }

  async #attempt(step: () => Promise<void>): Promise<boolean> {
    try {
      await step();
      return true;
    } catch (error) {
      this.#options.log?.log("warn", "network.failed", { error });
      return false;
    }
  }
}
