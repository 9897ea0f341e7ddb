import type {
  DoorName,
  ExpectedHolding,
  Holding,
  SandboxDriver,
  SandboxId,
  TaskSpec,
} from "../../core/index.ts";
import { asId, ExecutorError, expectRoom, taskKey } from "../../core/index.ts";
import type { DeskSandboxes, Foresight } from "../admission-desk.ts";
import type { EngineContext } from "../context.ts";
import type { Verdict } from "../executor.ts";
import type { SandboxOwner } from "../sandboxes/sandbox-owner.ts";
import type { Attempt } from "./attempt.ts";
import type { RunningCalls } from "./running-calls.ts";
import { CPU_IS_HELD, roomReason, TaskLine } from "./task-line.ts";
import type { TaskLines } from "./task-lines.ts";

/** What the verdict rests on besides the task's own line. */
export interface ExplainHost {
  readonly context: EngineContext;
  readonly lines: TaskLines;
  readonly sandboxes: DeskSandboxes;
  /** Calls that run now. */
  readonly running: RunningCalls<Attempt>;
  /** Why no call is taken at all. */
  closed(): ExecutorError | undefined;
  /** Why a call of this task that finds no free slot is refused at once. */
  refusal(task: TaskSpec): ExecutorError | undefined;
}

interface Asked extends ExplainHost {
  /** Why any start of this task would fail at its first step. */
  readonly imageRefusal: ExecutorError | undefined;
  /** Why nothing can be started or woken at all. */
  readonly engineRefusal: ExecutorError | undefined;
}

/** Why what runs sandboxes does not, as it says itself. */
async function refusalOfEngine(
  driver: SandboxDriver,
  signal: AbortSignal,
): Promise<ExecutorError | undefined> {
  try {
    const health = await driver.health(signal);
    return health.isHealthy ? undefined : new ExecutorError("ENGINE_UNAVAILABLE", { reason: health.reason });
  } catch (error) {
    signal.throwIfAborted();
    return ExecutorError.from(error);
  }
}

/** Why there is no such image, as far as that can be told without fetching it. */
async function refusalOfImage(
  driver: SandboxDriver,
  image: string,
  signal: AbortSignal,
): Promise<ExecutorError | undefined> {
  try {
    await driver.checkImage(image, signal);
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return ExecutorError.from(error);
  }
}

/**
 * What would become of one more call of a task if it came now, told by the very steps that would decide it; nothing is changed
 * by asking. What only its start would find out is not known: whether an image that is not here can be had, or has moved.
 */
export async function explain(
  host: ExplainHost,
  task: TaskSpec,
  door: DoorName,
  signal: AbortSignal,
): Promise<Verdict> {
  // Asked before everything else is looked at, so that all of that is told of one moment.
  const { driver } = host.context;
  const [imageRefusal, engineRefusal] = await Promise.all([
    refusalOfImage(driver, task.image, signal),
    refusalOfEngine(driver, signal),
  ]);
  const key = taskKey(task);
  const line = host.lines.get(key) ?? new TaskLine(host.context, key, task, door);
  return verdictOn({ ...host, imageRefusal, engineRefusal }, line);
}

/** @param line the task's own line, or a fresh one that nobody else knows. */
function verdictOn(host: Asked, line: TaskLine): Verdict {
  const closed = host.closed();
  if (closed !== undefined) return { type: "refused", error: closed };
  const outlook = line.foresee();
  // A free slot is taken before anything is checked: the task runs here already.
  const isServed = outlook.type === "slot" && line.waiting.length === 0;
  const refusal = isServed ? undefined : host.refusal(line.task);
  if (refusal !== undefined) return { type: "refused", error: refusal };
  switch (outlook.type) {
    case "slot":
      return { type: "warm", sandboxId: outlook.owner.id };
    case "refused":
      return { type: "refused", error: outlook.error };
    case "wait":
      return waitInLine(host, line);
    case "thaw":
      return waking(host, line, outlook.owner);
    case "start":
      return starting(host, line);
  }
}

function starting(host: Asked, line: TaskLine): Verdict {
  const { context } = host;
  // A start looks its image up before it asks for room.
  const refusal = host.imageRefusal ?? host.engineRefusal;
  if (refusal !== undefined) return { type: "refused", error: refusal };
  const id = asId<"demand">("explained");
  const need = line.task.resources;
  const demand = { id, door: line.door, need, keep: undefined, enqueuedAtMs: context.clock.nowMs() };
  const foresight = context.desk.foresee(demand);
  if (foresight.type === "wait") return waitForRoom(host, line, foresight, { need, keep: undefined });
  return { type: "room", start: "cold", sandboxId: undefined, ...foresight.room };
}

function waking(host: Asked, line: TaskLine, owner: SandboxOwner): Verdict {
  const { context, engineRefusal } = host;
  if (engineRefusal !== undefined) return { type: "refused", error: engineRefusal };
  const need = { ...line.task.resources, memoryBytes: 0, gpuCount: 0, gpuMemoryBytes: 0 };
  const enqueuedAtMs = context.clock.nowMs();
  const demand = { id: asId<"demand">(owner.id), door: owner.door, need, keep: owner.id, enqueuedAtMs };
  const foresight = context.desk.foresee(demand);
  if (foresight.type === "wait") return waitForRoom(host, line, foresight, { need, keep: owner.id });
  return { type: "room", start: "thawed", sandboxId: owner.id, ...foresight.room };
}

/** It waits in its own line: for a start or waking under way, or for one of its slots. */
function waitInLine(host: ExplainHost, line: TaskLine): Verdict {
  const left = [...host.running]
    .filter((attempt) => attempt.taskKey === line.key)
    .map((attempt) => leftOf(host, attempt) ?? Number.POSITIVE_INFINITY)
    .sort((a, b) => a - b);
  const reason = line.waitReason();
  const isForSlot = line.starts.size === 0;
  return {
    type: "wait",
    reason,
    callersAhead: line.waiting.length,
    demandsAhead: 0,
    busy: [],
    expectedMs: isForSlot ? finite(left[line.waiting.length]) : undefined,
  };
}

interface RoomWish {
  readonly need: TaskSpec["resources"];
  readonly keep: SandboxId | undefined;
}

/** It waits for room, with everybody who waits for that. */
function waitForRoom(
  host: ExplainHost,
  line: TaskLine,
  { ahead, supply }: Foresight & { readonly type: "wait" },
  { need, keep }: RoomWish,
): Verdict {
  const { context, sandboxes } = host;
  const holdings = sandboxes.holdings().map((holding) => expected(host, holding));
  const jobs = sandboxes.jobs().map((job) => ({ ...job, idleInMs: undefined }));
  const options = { order: context.settings().evictionOrder, nowMs: context.clock.nowMs(), keep };
  return {
    type: "wait",
    reason: keep === undefined ? roomReason(context, line.task) : CPU_IS_HELD,
    callersAhead: line.waiting.length,
    demandsAhead: ahead,
    busy: [...holdings.filter((one) => !one.isIdle), ...jobs].map((one) => one.sandboxId),
    // With others ahead of it, what comes free is theirs first, and nobody can tell what they leave.
    expectedMs: ahead > 0 ? undefined : expectRoom(need, supply, [...holdings, ...jobs], options),
  };
}

function expected(host: ExplainHost, holding: Holding): ExpectedHolding {
  if (holding.isIdle) return { ...holding, idleInMs: 0 };
  const left = [...host.running]
    .filter((attempt) => attempt.placement?.sandboxId === holding.sandboxId)
    .map((attempt) => leftOf(host, attempt) ?? Number.POSITIVE_INFINITY);
  // A sandbox may be kept by something else than a call: a session, or a demand that it is held for.
  return { ...holding, idleInMs: left.length === 0 ? undefined : finite(Math.max(...left)) };
}

/** How long a call has left if it takes as long as its task's calls usually do; `undefined` for the first of a task. */
function leftOf({ context, lines }: ExplainHost, { taskKey, sentAtMs }: Attempt): number | undefined {
  const usualMs = lines.get(taskKey)?.usualCallMs;
  return usualMs === undefined ? undefined : Math.max(0, sentAtMs + usualMs - context.clock.nowMs());
}

function finite(ms: number | undefined): number | undefined {
  return ms === undefined || !Number.isFinite(ms) ? undefined : Math.round(ms);
}
