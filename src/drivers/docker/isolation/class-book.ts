import type { ClassReport, DriverSettings, IsolationClass, Log, TaskSpec } from "../../../core/index.ts";
import { ExecutorError, isolationRefusal, judgeClass } from "../../../core/index.ts";
import { orAbort, PROBE_CPU_MILLIS, withDeadline } from "../../../std/index.ts";
import type { IsolationPlan } from "../container/plan-isolation.ts";
import { planIsolation } from "../container/plan-isolation.ts";
import type { SgxHost } from "../sgx/sgx-host.ts";
import type { ConfiguredClass } from "./configured-class.ts";
import { configuredClasses } from "./configured-class.ts";
import type { ProbeOutcome, Prober, ProbeSink } from "./prober.ts";

/** How long a start waits for the probe of its class: a few probes of 10 s each may be before it. */
const PROOF_DEADLINE_MS = 30_000;

export interface ClassBookOptions {
  readonly settings: DriverSettings;
  readonly prober: Prober;
  readonly sgx: Pick<SgxHost, "report" | "parts">;
  readonly log: Log | undefined;
  readonly nowMs: () => number;
  /** What the engine says now that stands behind a runtime's name; `undefined` when it does not list it. */
  definitionOf(runtime: string, signal: AbortSignal): Promise<string | undefined>;
  /** Runs a test alongside, under a signal that aborts, or has, when the driver closes. */
  spawn(test: (signal: AbortSignal) => Promise<void>): void;
}

/** One class: what stands behind it now, and what is known about it. Replaced, never changed, when its runtime changes. */
interface Entry {
  readonly configured: ConfiguredClass;
  report: ClassReport;
  /** The test under way or about to begin. */
  testing: Promise<void> | undefined;
  /** Why the last test could not be carried out. */
  failure: ExecutorError | undefined;
  /** What stood behind its runtime's name when it was last tested. */
  definition: string | undefined;
}

/** What was seen is of neither of the two that stood behind the name: the next start has it tested again. */
const CHANGED_MEANWHILE: ProbeOutcome = {
  type: "untold",
  error: new ExecutorError("ENGINE_UNAVAILABLE", { reason: "its runtime was changed while it was tested" }),
};

/** Who is tested in one round, and whom to tell. */
type Round = Map<Entry, () => void>;

/**
 * What this driver knows about its classes:
 *
 *     unproven ──(seen and judged)──► usable | unusable ──(configured anew, engine returned)──► unproven
 *         └──(the test could not be carried out)──► unproven; the next start tries again
 */
export class ClassBook {
  readonly #options: ClassBookOptions;
  #entries: ReadonlyMap<IsolationClass, Entry>;
  #hostKernel: string | undefined;
  /** What a round finds of the host's kernel is of the engine that it began with. */
  #engineLife = 0;
  #tail: Promise<void> = Promise.resolve();
  /** The round that has not begun yet, if one is to come. */
  #next: Round | undefined;

  constructor(options: ClassBookOptions) {
    this.#options = options;
    this.#entries = entriesOf(configuredClasses(options.settings), new Map());
  }

  reports(): readonly ClassReport[] {
    const reports = [...this.#entries.values()].map(({ report }) => report);
    const container = reports.find(({ isolation }) => isolation === "container");
    return [...reports, this.#options.sgx.report(container)];
  }

  usable(): readonly IsolationClass[] {
    return this.reports()
      .filter(({ state }) => state === "usable")
      .map(({ isolation }) => isolation);
  }

  /** Where a task runs. @throws {@link ExecutorError} as `planIsolation` does; ISOLATION_UNAVAILABLE; why the probe could not be run. */
  async plan(task: TaskSpec, signal: AbortSignal): Promise<IsolationPlan> {
    const configured = [...this.#entries.values()].map((entry) => entry.configured);
    const plan = planIsolation(task, configured, this.reports(), () => this.#options.sgx.parts());
    const proven = provenClass(plan);
    if (plan.runtime !== undefined) await this.#doubt(proven, plan.runtime, signal);
    return { ...plan, proof: await this.prove(proven, plan.runtime, signal) };
  }

  /** A proof is of what stood behind a name: an engine that reloads its configuration may have put something else there. */
  async #doubt(isolation: IsolationClass, runtime: string, signal: AbortSignal): Promise<void> {
    const entry = this.#entries.get(isolation);
    if (entry?.report.state !== "usable") return;
    const definition = await this.#options.definitionOf(runtime, signal);
    if (definition === entry.definition || this.#entries.get(isolation) !== entry) return;
    this.#entries = new Map(this.#entries).set(isolation, unproven(entry.configured));
  }

  /**
   * Holds a sandbox that has started by a plan against what is known now: between the two its engine may have been away, or
   * have read its configuration anew, and have another runtime under the same name.
   *
   * @throws {@link ExecutorError} SANDBOX_START_FAILED.
   */
  async confirm(plan: IsolationPlan, signal: AbortSignal): Promise<void> {
    const { isolation, runtime, proof } = plan;
    if (runtime === undefined) return;
    await this.#doubt(provenClass(plan), runtime, signal);
    const now = this.#entries.get(provenClass(plan));
    if (now === proof && now?.report.state === "usable") return;
    const reason = `what stands behind the class ${isolation} has changed while it started`;
    throw new ExecutorError("SANDBOX_START_FAILED", { reason });
  }

  /**
   * Resolves once a class is known to be usable, with that runtime behind it, to what that is known by.
   *
   * @throws {@link ExecutorError} ISOLATION_UNAVAILABLE, or why its probe could not be carried out; the signal's reason.
   */
  async prove(
    isolation: IsolationClass,
    runtime: string | undefined,
    signal: AbortSignal,
  ): Promise<IsolationPlan["proof"]> {
    const entry = this.#entries.get(isolation);
    if (entry === undefined) throw isolationRefusal(isolation, this.reports());
    if (entry.report.state === "unproven") await this.#wait(entry, signal);
    const now = this.#entries.get(isolation);
    if (now === undefined || now.configured.runtime !== runtime || now.report.state === "unusable") {
      throw isolationRefusal(isolation, this.reports());
    }
    // The settings changed while it was tested: the new entry has a test of its own.
    if (now !== entry) return this.prove(isolation, runtime, signal);
    if (now.report.state === "unproven") throw now.failure ?? new ExecutorError("ENGINE_UNAVAILABLE");
    return now;
  }

  /** Tests all classes, or one, and resolves with what is known then. */
  async probe(signal: AbortSignal, isolation?: IsolationClass): Promise<readonly ClassReport[]> {
    const wanted = [...this.#entries.values()].filter(
      ({ configured }) => isolation === undefined || configured.isolation === isolation,
    );
    await orAbort(Promise.all(wanted.map((entry) => this.#test(entry))), signal);
    return this.reports();
  }

  /** What has not changed keeps its report; what is not usable is looked at anew. */
  configure(settings: DriverSettings): void {
    this.#entries = entriesOf(configuredClasses(settings), this.#entries);
    this.testUnless("usable");
  }

  /** The engine was away: it may have come back with other runtimes under the same names. */
  forget(): void {
    this.#hostKernel = undefined;
    this.#engineLife += 1;
    const classes = [...this.#entries.values()].map(({ configured }) => configured);
    this.#entries = entriesOf(classes, new Map());
    this.testUnless("usable");
  }

  /** Begins to test, in the background, every class whose state is another. */
  testUnless(state: ClassReport["state"]): void {
    for (const entry of this.#entries.values()) {
      if (entry.report.state !== state) this.#test(entry).catch(() => undefined); // never: a test does not reject
    }
  }

  async #wait(entry: Entry, signal: AbortSignal): Promise<void> {
    const { isolation } = entry.configured;
    const facts = { reason: `the probe of the class ${isolation} did not end in time` };
    const deadline = { ms: PROOF_DEADLINE_MS, code: "ENGINE_UNAVAILABLE", facts, parent: signal } as const;
    await withDeadline(deadline, (within) => orAbort(this.#test(entry), within));
  }

  /** Callers at once share one test; classes that are asked for together share its network. */
  #test(entry: Entry): Promise<void> {
    if (entry.testing !== undefined) return entry.testing;
    const round = this.#next ?? this.#newRound();
    entry.testing = new Promise<void>((resolve) => round.set(entry, resolve));
    return entry.testing;
  }

  #newRound(): Round {
    const round: Round = new Map();
    const before = this.#tail;
    this.#next = round;
    this.#tail = new Promise<void>((resolve) => {
      this.#options.spawn(async (signal) => {
        try {
          await before;
          this.#next = undefined;
          if (!signal.aborted) await this.#testAll(round, signal);
        } finally {
          // Those that the driver's end has left without an answer.
          for (const entry of [...round.keys()]) settle(round, entry);
          resolve();
        }
      });
    });
    return round;
  }

  async #testAll(round: Round, signal: AbortSignal): Promise<void> {
    const beganMs = this.#options.nowMs();
    // What the settings have replaced meanwhile is nobody's any more.
    const current = new Set(this.#entries.values());
    for (const entry of [...round.keys()]) if (!current.has(entry)) settle(round, entry);
    const entries = [...round.keys()];
    const classes = entries.map(({ configured }) => configured);
    const needsHostKernel =
      this.#hostKernel === undefined && classes.some(({ runtime }) => runtime !== undefined);
    const life = this.#engineLife;
    const before = await this.#definitionsOf(entries, signal);
    const conclusions: Promise<void>[] = [];
    const sink: ProbeSink = {
      onHostKernel: (kernel) => {
        if (life === this.#engineLife) this.#hostKernel = kernel;
      },
      onOutcome: (one, outcome) => {
        const entry = entries.find(({ configured }) => configured === one);
        if (entry === undefined) return;
        const conclude = async (): Promise<void> => {
          const after = (await this.#definitionsOf([entry], signal)).get(entry);
          const isOfOne = after === before.get(entry);
          const tookMs = Math.round(this.#options.nowMs() - beganMs);
          this.#take(entry, isOfOne ? outcome : CHANGED_MEANWHILE, after, tookMs);
          settle(round, entry);
        };
        conclusions.push(conclude());
      },
    };
    await this.#options.prober.test({ classes, needsHostKernel }, sink, signal);
    await Promise.all(conclusions);
  }

  /** What the engine says stands behind their names now; what changes after this is doubted at the next start. */
  async #definitionsOf(
    entries: readonly Entry[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<Entry, string | undefined>> {
    const definitions = new Map<Entry, string | undefined>();
    for (const entry of entries) {
      const { runtime } = entry.configured;
      if (runtime === undefined) continue;
      // An engine that does not answer fails the test itself, and says why.
      definitions.set(entry, await this.#options.definitionOf(runtime, signal).catch(() => undefined));
    }
    return definitions;
  }

  #take(entry: Entry, outcome: ProbeOutcome, definition: string | undefined, tookMs: number): void {
    const before = entry.report;
    // With the judgement, not before it: what was judged last time was judged of what stood there then.
    if (outcome.type !== "untold" || before.state === "unproven") entry.definition = definition;
    entry.failure = outcome.type === "untold" ? outcome.error : undefined;
    entry.report = { ...before, ...this.#judge(entry, outcome) };
    this.#tell(before, entry.report, tookMs);
  }

  #judge(
    { configured, report }: Entry,
    outcome: ProbeOutcome,
  ): Pick<ClassReport, "state" | "reasons" | "sight"> {
    if (outcome.type === "failed") return { state: "unusable", reasons: [outcome.reason], sight: undefined };
    if (outcome.type === "untold") {
      const reasons = [`its probe could not be carried out: ${outcome.error.message}`];
      // What is known from before is still the best that is known.
      return report.state === "unproven" ? { ...report, reasons } : report;
    }
    const { isolation, limits } = configured;
    return judgeClass({
      isolation,
      findings: outcome.findings,
      hostKernel: this.#hostKernel,
      cpuMillis: PROBE_CPU_MILLIS,
      limits,
      knownMissing: this.#options.prober.knownMissing,
      isTurnedAway: true,
      needsNoNewPrivileges: true,
    });
  }

  #tell(
    before: ClassReport,
    { isolation, runtime, state, reasons, sight }: ClassReport,
    tookMs: number,
  ): void {
    const { log } = this.#options;
    const isNews = before.state !== state || before.reasons.join() !== reasons.join();
    const facts = { isolation, runtime, state, reasons, kernel: sight?.kernel, tookMs };
    if (state === "usable") log?.log(isNews ? "info" : "debug", "isolation.probed", facts);
    else log?.log(isNews ? "warn" : "debug", "isolation.unusable", facts);
  }
}

/** The class whose test stands for a plan's: what an enclave adds has none, its container has. */
function provenClass({ isolation, sgx }: IsolationPlan): IsolationClass {
  return sgx === undefined ? isolation : "container";
}

/** Tells whoever waits for it that there is something to read. */
function settle(round: Round, entry: Entry): void {
  const tell = round.get(entry);
  if (tell === undefined) return;
  round.delete(entry);
  entry.testing = undefined;
  tell();
}

/** Keeps an entry whose runtime and terms are the same. */
function entriesOf(
  classes: readonly ConfiguredClass[],
  before: ReadonlyMap<IsolationClass, Entry>,
): ReadonlyMap<IsolationClass, Entry> {
  return new Map(
    classes.map((configured) => {
      const old = before.get(configured.isolation);
      const isSame =
        old !== undefined &&
        old.configured.runtime === configured.runtime &&
        old.configured.limits === configured.limits;
      return [configured.isolation, isSame ? old : unproven(configured)];
    }),
  );
}

function unproven(configured: ConfiguredClass): Entry {
  const { isolation, runtime } = configured;
  return {
    configured,
    report: { isolation, runtime, state: "unproven", reasons: [], sight: undefined },
    testing: undefined,
    failure: undefined,
    definition: undefined,
  };
}
