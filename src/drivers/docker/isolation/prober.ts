import type { LimitKind, ProbeFindings } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { isProbeArchitecture, orAbort } from "../../../std/index.ts";
import type { RuntimeList } from "../engine/engine.ts";
import { EngineError, toExecutorError } from "../engine/engine-error.ts";
import type { TaskNetwork } from "../network/network-sandbox.ts";
import type { World } from "../world.ts";
import type { ConfiguredClass } from "./configured-class.ts";
import type { ProbeOrder } from "./probe-sandbox.ts";
import { runProbe } from "./probe-sandbox.ts";
import type { DoorAddress } from "./probe-targets.ts";
import { probeTargets } from "./probe-targets.ts";

/** What came of one class's test. */
export type ProbeOutcome =
  | { readonly type: "seen"; readonly findings: ProbeFindings }
  /** It is the class's own fault: nothing can run in it. */
  | { readonly type: "failed"; readonly reason: string }
  /** The test could not be carried out, which says nothing about the class. */
  | { readonly type: "untold"; readonly error: ExecutorError };

/** Takes what is found, class by class, as it is found. */
export interface ProbeSink {
  /** What a sandbox in the engine's own default runtime sees; comes before every outcome that it matters for. */
  onHostKernel(kernel: string): void;
  onOutcome(one: ConfiguredClass, outcome: ProbeOutcome): void;
}

export interface TestOrder {
  readonly classes: readonly ConfiguredClass[];
  /** Also looks at the default runtime when none of the classes is in it. */
  readonly needsHostKernel: boolean;
}

/** Tests classes in sandboxes of their own. */
export interface Prober {
  /** Limits that the engine says itself its host does not have. */
  readonly knownMissing: readonly LimitKind[];
  /** Tells one outcome for each class, the default runtime's first. Never rejects but with the signal's reason. */
  test(order: TestOrder, sink: ProbeSink, signal: AbortSignal): Promise<void>;
}

/** Engines since 23.0 take a shim by its own name, which they do not list. */
const SHIM_NAME = /^io\.containerd\./;

export type ProberWorld = Pick<
  World,
  "engine" | "owner" | "maker" | "deaths" | "seccomp" | "known" | "pool" | "closing" | "inBackground"
>;

/** @param doors resolves once the executor's own doors listen, with where. */
export function openProber(world: ProberWorld, doors: () => Promise<readonly DoorAddress[]>): Prober {
  return {
    knownMissing: knownMissing(world.engine.missingLimits),
    test: (order, sink, signal) => new Test(world, order, sink).run(doors, signal),
  };
}

function knownMissing(limits: readonly string[]): readonly LimitKind[] {
  const kinds: Readonly<Record<string, LimitKind>> = {
    MemoryLimit: "memory",
    SwapLimit: "memory",
    CpuCfsQuota: "cpu",
    PidsLimit: "pids",
  };
  return limits.flatMap((limit) => kinds[limit] ?? []);
}

/** One round: one network, and in it one test sandbox after the other. */
class Test {
  readonly #world: ProberWorld;
  readonly #order: TestOrder;
  readonly #sink: ProbeSink;
  readonly #untold: Set<ConfiguredClass>;

  constructor(world: ProberWorld, order: TestOrder, sink: ProbeSink) {
    this.#world = world;
    this.#order = order;
    this.#sink = sink;
    this.#untold = new Set(order.classes);
  }

  async run(doors: () => Promise<readonly DoorAddress[]>, signal: AbortSignal): Promise<void> {
    const { engine, pool, maker } = this.#world;
    // Making spare networks meanwhile would take the engine's time from what starts wait for.
    const letPoolWork = pool.holdStill();
    let network: TaskNetwork | undefined;
    const left: Promise<boolean>[] = [];
    try {
      const { architecture } = engine;
      if (!isProbeArchitecture(architecture)) throw noProgram(architecture);
      this.#sortOut(await engine.runtimes(signal));
      if (this.#untold.size === 0) return;
      const open = await orAbort(doors(), signal);
      network = pool.takeBare(maker.defaultPolicy) ?? (await this.#makeNetwork(signal));
      const targets = probeTargets(open, network.subnet, engine.isLocal);
      await this.#lookAtAll(
        { architecture, network, targets, onLeft: (isTidy) => left.push(isTidy) },
        letPoolWork,
        signal,
      );
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toExecutorError(thrown);
      for (const one of [...this.#untold]) this.#tell(one, { type: "untold", error });
    } finally {
      letPoolWork();
      if (network !== undefined) this.#giveBack(network, left);
    }
  }

  async #makeNetwork(signal: AbortSignal): Promise<TaskNetwork> {
    const { pool, maker } = this.#world;
    return await orAbort(pool.make(maker.defaultPolicy), signal, (network) =>
      pool.discard({ type: "network", network }),
    );
  }

  /** Others get it once nobody is in it any more; where that is not known, nobody does. */
  #giveBack(network: TaskNetwork, left: readonly Promise<boolean>[]): void {
    const { pool, inBackground } = this.#world;
    const taken = { type: "network", network } as const;
    if (left.length === 0) pool.giveBack(taken, "");
    else
      inBackground(async () => {
        const isTidy = (await Promise.all(left)).every(Boolean);
        if (isTidy) pool.giveBack(taken, "");
        else pool.discard(taken);
      });
  }

  /** What the engine does not offer needs no sandbox to be seen. */
  #sortOut(known: RuntimeList): void {
    for (const one of [...this.#untold]) {
      const reason = whyMissing(one, known);
      if (reason !== undefined) this.#tell(one, { type: "failed", reason });
    }
  }

  async #lookAtAll(
    place: Omit<ProbeOrder, "runtime">,
    onDefaultSeen: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    const inDefault = [...this.#untold].find(({ runtime }) => runtime === undefined);
    if (inDefault !== undefined || this.#order.needsHostKernel) {
      const outcome = await this.#look({ ...place, runtime: undefined }, signal);
      const kernel = outcome.type === "seen" ? outcome.findings.kernel : undefined;
      if (kernel !== undefined) this.#sink.onHostKernel(kernel);
      if (inDefault !== undefined) this.#tell(inDefault, outcome);
    }
    onDefaultSeen();
    for (const one of [...this.#untold]) {
      this.#tell(one, await this.#look({ ...place, runtime: one.runtime }, signal));
    }
  }

  async #look(order: ProbeOrder, signal: AbortSignal): Promise<ProbeOutcome> {
    try {
      return { type: "seen", findings: await runProbe(this.#world, order, signal) };
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toExecutorError(thrown);
      // Whether anything runs in the default runtime is the engine's matter, not the class's.
      const isOwnFault =
        order.runtime !== undefined && (error.code === "START_TIMEOUT" || isRefusal(thrown, error));
      if (!isOwnFault) return { type: "untold", error: notOfTask(error) };
      const reason =
        thrown instanceof EngineError ? thrown.reason : String(error.facts["reason"] ?? error.message);
      return { type: "failed", reason: `nothing can be run in it: ${reason}` };
    }
  }

  #tell(one: ConfiguredClass, outcome: ProbeOutcome): void {
    this.#untold.delete(one);
    this.#sink.onOutcome(one, outcome);
  }
}

/** A test that took too long is the engine's slowness: nobody's task has failed to start. */
function notOfTask(error: ExecutorError): ExecutorError {
  if (error.code !== "START_TIMEOUT") return error;
  return new ExecutorError("ENGINE_UNAVAILABLE", error.facts, { cause: error });
}

/** The engine answered, and said no. */
function isRefusal(thrown: unknown, { code }: ExecutorError): boolean {
  return thrown instanceof EngineError && code !== "ENGINE_UNAVAILABLE" && code !== "DISK_FULL";
}

function whyMissing({ runtime }: ConfiguredClass, { names }: RuntimeList): string | undefined {
  if (runtime === undefined || names.includes(runtime) || SHIM_NAME.test(runtime)) return undefined;
  return `the engine does not offer the runtime ${runtime}; it has ${names.join(", ")}`;
}

function noProgram(architecture: string): ExecutorError {
  return new ExecutorError("ENGINE_FAILED", { reason: `there is no test program for ${architecture}` });
}
