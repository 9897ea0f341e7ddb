import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Recorded } from "../../../../test/support/test-executor.ts";
import { record, task, testExecutor } from "../../../../test/support/test-executor.ts";
import { settle, type VirtualClock } from "../../../../test/support/virtual-clock.ts";
import type { IsolationClass, RuntimeSetting } from "../../../core/index.ts";
import { readFindings } from "../../../core/index.ts";
import type { FakeDriver } from "../../fake/fake-driver.ts";
import { ClassBook } from "./class-book.ts";
import type { Prober } from "./prober.ts";

/** What an engine really runs when it is asked for a name. */
type Kind = "runc" | "gvisor" | "vm";
const KINDS = ["runc", "gvisor", "vm"] as const;
const NAMES = ["runsc", "kata", "other"] as const;
const CLASSES = ["default", "container", "gvisor", "microVM"] as const;
const STRENGTH: Readonly<Record<IsolationClass | Kind | "default", number>> = {
  default: 1,
  process: 0,
  container: 1,
  runc: 1,
  gvisor: 2,
  sgx: 1,
  // Another kernel is all that a probe can see: a gVisor under a virtual machine's name is not told apart.
  microVM: 2,
  vm: 2,
};
const KERNELS: Readonly<Record<Kind, string>> = { runc: "6.1 host", gvisor: "4.4 gvisor", vm: "5.15 guest" };

const GOOD = "\nprivilege 1 9\nwho 9 9\ncpu 250000 60000 0 75000\npids 255 11\nmemory 1 9\nend\n";

const step = fc.oneof(
  {
    weight: 60,
    arbitrary: fc.record({
      type: fc.constant("call" as const),
      image: fc.constantFrom("a", "b"),
      isolation: fc.constantFrom(...CLASSES),
    }),
  },
  {
    weight: 30,
    arbitrary: fc.record({ type: fc.constant("wait" as const), ms: fc.constantFrom(1, 10, 40, 300) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("engine" as const),
      name: fc.constantFrom(...NAMES),
      kind: fc.option(fc.constantFrom(...KINDS), { nil: undefined }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("configure" as const),
      gvisor: fc.option(fc.constantFrom(...NAMES), { nil: undefined }),
      microVM: fc.option(fc.constantFrom(...NAMES), { nil: undefined }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("reload" as const),
      name: fc.constantFrom(...NAMES),
      kind: fc.option(fc.constantFrom(...KINDS), { nil: undefined }),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ type: "probe" as const }) },
);

/** An engine whose runtimes come and go, seen by the real book of classes through a prober that takes its time. */
class ScriptedEngine {
  readonly runtimes = new Map<string, Kind>([
    ["runsc", "gvisor"],
    ["kata", "vm"],
  ]);
  /** What each sandbox was really made in. */
  readonly madeIn = new Map<string, Kind>();
  readonly book: ClassBook;
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock, runtimes: readonly RuntimeSetting[]) {
    this.#clock = clock;
    const prober: Prober = {
      knownMissing: [],
      test: async ({ classes }, sink) => {
        await this.#pass(15);
        sink.onHostKernel(KERNELS.runc);
        for (const one of classes) {
          await this.#pass(15);
          const kind = this.kindOf(one.runtime);
          sink.onOutcome(
            one,
            kind === undefined
              ? { type: "failed", reason: "it is not there" }
              : { type: "seen", findings: readFindings(`kernel ${KERNELS[kind]}${GOOD}`) },
          );
        }
      },
    };
    const sgx = {
      report: () => ({
        isolation: "sgx" as const,
        runtime: undefined,
        state: "unusable" as const,
        reasons: [],
        sight: undefined,
      }),
      parts: () => {
        throw new Error("there is none");
      },
    };
    this.book = new ClassBook({
      settings: { runtimes },
      prober,
      sgx,
      log: undefined,
      nowMs: () => clock.nowMs(),
      definitionOf: async (runtime) => {
        await this.#pass(1);
        return this.runtimes.get(runtime);
      },
      spawn: (run) => {
        run(new AbortController().signal).catch(() => undefined); // a test does not reject
      },
    });
  }

  kindOf(runtime: string | undefined): Kind | undefined {
    return runtime === undefined ? "runc" : this.runtimes.get(runtime);
  }

  /** An engine takes other runtimes when it starts anew; the driver notices that. */
  restart(name: string, kind: Kind | undefined): void {
    if (kind === undefined) this.runtimes.delete(name);
    else this.runtimes.set(name, kind);
    this.book.forget();
  }

  /** An engine that reloads its configuration takes other runtimes, and nobody is told. */
  reload(name: string, kind: Kind | undefined): void {
    if (kind === undefined) this.runtimes.delete(name);
    else this.runtimes.set(name, kind);
  }

  /** Makes a fake driver's sandboxes as the real one does: plan, make, confirm. */
  drive(driver: FakeDriver): void {
    const start = driver.start.bind(driver);
    driver.classes = () => this.book.reports();
    driver.probe = (signal, isolation) => this.book.probe(signal, isolation);
    driver.configure = (settings) => this.book.configure(settings);
    driver.start = async (spec, signal) => {
      const plan = await this.book.plan(spec.task, signal);
      // Its network is found or made first: time in which an engine may come back as another.
      await this.#pass(10);
      const kind = this.kindOf(plan.runtime);
      if (kind === undefined) throw new Error("unknown runtime");
      const sandbox = await start(spec, signal);
      this.madeIn.set(sandbox.id, kind);
      [...driver.live]
        .filter(({ id }) => id === sandbox.id)
        .forEach((fake) => (fake.isolation = plan.isolation));
      try {
        await this.book.confirm(plan, signal);
      } catch (error) {
        await sandbox.stop(0);
        throw error;
      }
      return sandbox;
    };
  }

  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.after(ms, resolve));
  }
}

function settingsOf(gvisor: string | undefined, microVM: string | undefined): readonly RuntimeSetting[] {
  const rows: RuntimeSetting[] = [];
  if (gvisor !== undefined) rows.push({ name: gvisor, isolation: "gvisor", limits: "required" });
  if (microVM !== undefined) rows.push({ name: microVM, isolation: "microVM", limits: "required" });
  return rows;
}

const RUNS = 100;
const REQUESTS = 100;

test("F: over 10 000 random requests while runtimes come and go, no answer is from a weaker class than was asked for", async () => {
  let requests = 0;
  const answered = new Map<string, number>();
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 100, maxLength: 200, size: "max" }),
      fc.array(fc.constantFrom(...CLASSES), { minLength: REQUESTS, maxLength: REQUESTS, size: "max" }),
      async (steps, further) => {
        let engine: ScriptedEngine | undefined;
        const runtimes = settingsOf("runsc", "kata");
        const { executor, clock, channels } = await testExecutor(
          { runtimes, sandboxesPerTask: 2, queueLimit: 100_000 },
          { startMs: 20, stopMs: 5 },
          (driver, virtual) => {
            engine = new ScriptedEngine(virtual, runtimes);
            engine.drive(driver);
          },
        );
        if (engine === undefined) throw new Error("the driver was not prepared");
        channels.runMs = 3;
        const calls: { asked: (typeof CLASSES)[number]; call: Recorded }[] = [];
        const ask = (image: string, asked: (typeof CLASSES)[number]): void => {
          requests += 1;
          calls.push({ asked, call: record(executor, { ...task(image, 0.1, 8), isolation: asked }) });
        };
        for (const one of steps) {
          if (one.type === "call") ask(one.image, one.isolation);
          else if (one.type === "wait") await clock.advance(one.ms);
          else if (one.type === "engine") engine.restart(one.name, one.kind);
          else if (one.type === "reload") {
            engine.reload(one.name, one.kind);
            // There and back within one start is nothing that anybody could see.
            await clock.advance(400);
          } else if (one.type === "probe")
            executor.probe(new AbortController().signal).catch(() => undefined);
          else executor.configure({ ...executor.settings(), runtimes: settingsOf(one.gvisor, one.microVM) });
        }
        for (const [index, isolation] of further.entries()) {
          ask(index % 2 === 0 ? "a" : "b", isolation);
          if (index % 10 === 0) await clock.advance(7);
        }
        await clock.advance(2_000);
        await settle();
        for (const { asked, call } of calls) {
          expect(call.ends).toBe(1);
          if (call.placement === undefined || call.error !== undefined) {
            refused += 1;
            continue;
          }
          const { sandboxId, isolation } = call.placement;
          const kind = engine.madeIn.get(sandboxId) ?? "runc";
          answered.set(asked, (answered.get(asked) ?? 0) + 1);
          if (asked !== "default") expect(isolation).toBe(asked);
          expect(STRENGTH[kind], `asked ${asked}, made in ${kind}`).toBeGreaterThanOrEqual(STRENGTH[asked]);
        }
        const ended = executor[Symbol.asyncDispose]();
        await clock.advance(1_000);
        await ended;
      },
    ),
    { numRuns: RUNS },
  );
  expect(requests).toBeGreaterThanOrEqual(RUNS * REQUESTS);
  // It must be possible to fail: there were answers of each class, and refusals.
  for (const asked of CLASSES) expect(answered.get(asked) ?? 0).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(100);
}, 120_000);
