import { idleSince, NO_RESOURCES } from "../core/index.ts";
import type { TaskLine } from "./calls/task-line.ts";
import type { TaskLines } from "./calls/task-lines.ts";
import type { EngineContext } from "./context.ts";
import type { ExecutorView, SandboxTier, SandboxView, WaitingView } from "./executor.ts";
import type { GpuCards } from "./gpus/gpu-cards.ts";
import { viewOfWaitingJobs } from "./jobs/job-views.ts";
import type { HeldBack, WaitingJob } from "./jobs/waiting-job.ts";
import type { SandboxOwner } from "./sandboxes/sandbox-owner.ts";

export function viewOfExecutor(
  { driver, host, books }: EngineContext,
  gpus: GpuCards,
  lines: TaskLines,
  now: Pick<ExecutorView, "state" | "running" | "jobs">,
): ExecutorView {
  return {
    ...now,
    driver: driver.name,
    capabilities: driver.capabilities,
    classes: driver.classes(),
    networks: driver.networks(),
    host: host.capacity,
    usage: host.usage(),
    capacity: books.capacity,
    reserved: books.used,
    reservedByDoor: {
      http: books.heldByDoor("http"),
      stream: books.heldByDoor("stream"),
      indexify: books.heldByDoor("indexify"),
    },
    gpuModel: gpus.model,
    gpus: gpus.view(),
    gpuTrouble: gpus.offer.trouble,
    waiting: lines.waitingCount(),
    sandboxes: lines.owners().length,
  };
}

export function viewOfSandbox(context: EngineContext, owner: SandboxOwner): SandboxView {
  const nowMs = context.clock.nowMs();
  const sandbox = owner.maybeSandbox;
  const sinceMs = idleSince(owner.state);
  const booked = context.books.heldBy(owner.id);
  return {
    sandboxId: owner.id,
    label: sandbox?.label ?? "",
    taskKey: owner.taskKey,
    task: owner.task,
    tier: tierOf(owner),
    isolation: sandbox?.isolation,
    imageDigest: owner.imageDigest,
    slotsUsed: owner.slotsUsed,
    slots: context.settings().slotsPerSandbox,
    calls: owner.calls,
    sessions: owner.pins,
    ageMs: nowMs - owner.createdAtMs,
    idleMs: sinceMs === undefined ? undefined : nowMs - sinceMs,
    reserved: booked?.resources ?? NO_RESOURCES,
    gpuIds: booked?.gpuIds ?? [],
    phases: sandbox?.phases,
    warnings: sandbox?.warnings ?? [],
  };
}

/** Calls that wait, by task, then jobs. */
export function viewsOfWaiting(
  context: EngineContext,
  lines: TaskLines,
  jobs: Iterable<WaitingJob | HeldBack>,
): readonly WaitingView[] {
  const calls = lines.all().flatMap((line) => viewOfWaiting(context, line));
  return [...calls, ...viewOfWaitingJobs(context, jobs)];
}

function viewOfWaiting(context: EngineContext, line: TaskLine): readonly WaitingView[] {
  const [first] = line.waiting;
  if (first === undefined) return [];
  return [
    {
      taskKey: line.key,
      task: line.task,
      callers: line.waiting.length,
      waitedMs: context.clock.nowMs() - first.startedAtMs,
      reason: line.waitReason(),
      jobIds: undefined,
    },
  ];
}

/** What is gone is shown until it is forgotten, as what it was last. */
function tierOf(owner: SandboxOwner): SandboxTier {
  const { type } = owner.state;
  return type === "gone" ? "stopping" : type;
}
