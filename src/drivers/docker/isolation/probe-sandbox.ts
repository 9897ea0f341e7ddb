import { randomBytes } from "node:crypto";
import type { ProbeFindings, SandboxEnd } from "../../../core/index.ts";
import { ExecutorError, readFindings } from "../../../core/index.ts";
import type { ProbeArchitecture } from "../../../std/index.ts";
import { orAbort, probeArguments, systemClock, withDeadline } from "../../../std/index.ts";
import { boundedWork } from "../bounded-work.ts";
import { PIDS_LIMIT } from "../container/container-body.ts";
import { baseLabels } from "../container/labels.ts";
import { readLogTail } from "../container/log-tail.ts";
import { Making } from "../container/making.ts";
import type { ProbePlan } from "../container/own-body.ts";
import { probeBody } from "../container/own-body.ts";
import type { Engine } from "../engine/engine.ts";
import { ensureBuiltInImage } from "../image/built-in-image.ts";
import type { TaskNetwork } from "../network/network-sandbox.ts";
import type { World } from "../world.ts";
import type { RuntimeName } from "./configured-class.ts";
import { PROBE_PATH, probeImage, SETUID_COPY_PATH } from "./probe-image.ts";

/** What a test sandbox may take, from its first step to its last line. */
const PROBE_DEADLINE_MS = 10_000;
const LOG_BYTES = 16_384;
/** How long one that failed may take to leave nothing behind before its caller is told all the same. */
const TIDY_MS = 10_000;
/** Containers of this kind begin so; nothing else of ours does. */
export const PROBE_NAME_PREFIX = "hearth_probe_";

export type ProbeWorld = Pick<
  World,
  "engine" | "owner" | "maker" | "deaths" | "seccomp" | "known" | "closing" | "inBackground"
>;

/** Where and how one test sandbox is made. */
export interface ProbeOrder {
  /** `undefined`: the engine's own default. */
  readonly runtime: RuntimeName | undefined;
  readonly architecture: ProbeArchitecture;
  readonly network: TaskNetwork;
  readonly targets: readonly string[];
  /** As {@link TestSandbox.onLeft}. */
  readonly onLeft: (isTidy: Promise<boolean>) => void;
}

/**
 * Runs one short-lived test sandbox and reads what it saw. Whatever happens it is removed, behind the caller's back if it has
 * ended by itself.
 *
 * @throws EngineError when the engine would not run it; {@link ExecutorError} START_TIMEOUT, ENGINE_UNAVAILABLE, SANDBOX_LOST;
 * the signal's reason.
 */
export async function runProbe(
  world: ProbeWorld,
  order: ProbeOrder,
  signal: AbortSignal,
): Promise<ProbeFindings> {
  const { targets } = order;
  const all = probeArguments({ setuidCopy: SETUID_COPY_PATH, targets }, PIDS_LIMIT);
  const findings = await runOnce(world, order, all, signal);
  if (findings.diedAt !== "pids") return findings;
  // Its limit has ended it as a whole, so that what comes after was never tried.
  const rest = await runOnce(
    world,
    order,
    ["kernel", ...all.filter((one) => one.startsWith("memory"))],
    signal,
  );
  const died = rest.diedAt === "memory" ? { touchedBytes: 0, how: 9 } : undefined;
  return { ...findings, memory: rest.memory ?? died };
}

async function runOnce(
  world: ProbeWorld,
  order: ProbeOrder,
  questions: readonly string[],
  signal: AbortSignal,
): Promise<ProbeFindings> {
  const facts = { reason: `its test sandbox did not end within ${PROBE_DEADLINE_MS / 1000} s` };
  const deadline = { ms: PROBE_DEADLINE_MS, code: "START_TIMEOUT", facts, parent: signal } as const;
  return await withDeadline(deadline, (within) => runWithin(world, order, questions, within));
}

async function runWithin(
  world: ProbeWorld,
  order: ProbeOrder,
  questions: readonly string[],
  signal: AbortSignal,
): Promise<ProbeFindings> {
  const place = { ...world.maker.place(order.network), isPublished: false };
  const plan = { command: [PROBE_PATH, ...questions], runtime: order.runtime };
  return readFindings(
    await runTestSandbox(
      world,
      { architecture: order.architecture, place, plan, onLeft: order.onLeft },
      signal,
    ),
  );
}

/** One test sandbox. */
export interface TestSandbox {
  readonly architecture: ProbeArchitecture;
  /** `undefined`: it needs no network. */
  readonly place: Parameters<typeof probeBody>[2];
  readonly plan: ProbePlan;
  /** Told when it has failed: what resolves once nothing of it is in its network any more, to whether that is known. Default: nobody cares. */
  readonly onLeft?: (isTidy: Promise<boolean>) => void;
}

/**
 * Runs one to its end and removes it, whatever happens.
 *
 * @returns what it has printed.
 * @throws EngineError when the engine would not run it; {@link ExecutorError} ENGINE_UNAVAILABLE; the signal's reason.
 */
export async function runTestSandbox(
  world: Omit<ProbeWorld, "maker">,
  { architecture, place, plan, onLeft }: TestSandbox,
  signal: AbortSignal,
): Promise<string> {
  const { engine, owner, deaths, seccomp, known, closing } = world;
  const image = await ensureImage(engine, architecture, signal);
  const name = `${PROBE_NAME_PREFIX}${randomBytes(6).toString("hex")}`;
  const labels = baseLabels(owner, "probe", systemClock.wallMs());
  const making = new Making(engine, name, closing);
  const created = making.create(probeBody(image, labels, place, seccomp, plan));
  try {
    const containerId = await orAbort(created, signal);
    known.add(containerId);
    const watch = deaths.watch(containerId, 0);
    try {
      await orAbort(making.start(containerId), signal);
      throwIfLost(await orAbort(watch.ended, signal));
      const { text } = await readLogTail(engine, containerId, LOG_BYTES, { signal });
      // It has ended and with that given its address back: nobody needs to wait for the rest.
      world.inBackground(() => making.remove());
      return text;
    } finally {
      watch.forget();
    }
  } catch (thrown) {
    const tidied = making.remove();
    world.inBackground(() => tidied);
    // Its failure is told by the background; here only its end matters.
    const isTidy = tidied.then(
      () => true,
      () => false,
    );
    await boundedWork(isTidy, AbortSignal.abort(), TIDY_MS);
    onLeft?.(isTidy);
    throw thrown;
  }
}

async function ensureImage(
  engine: Engine,
  architecture: ProbeArchitecture,
  signal: AbortSignal,
): Promise<string> {
  return await ensureBuiltInImage(engine, probeImage(architecture), signal);
}

/** What somebody else removed, or the engine lost, says nothing about its class. */
function throwIfLost(end: SandboxEnd): void {
  if (end.type === "lost") {
    throw new ExecutorError("ENGINE_UNAVAILABLE", { reason: "a test sandbox was removed while it ran" });
  }
}
