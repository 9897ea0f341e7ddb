import type { DoorName, Leftover, TaskSpec } from "../core/index.ts";
import { withDeadline } from "../std/deadline.ts";
import type { TaskLine } from "./calls/task-line.ts";
import type { EngineContext } from "./context.ts";
import { heldWhenFrozen, SandboxOwner } from "./sandboxes/sandbox-owner.ts";
import { untilRemoved } from "./sandboxes/until-removed.ts";

const LIST_DEADLINE_MS = 10_000;
const ADOPT_DEADLINE_MS = 5_000;
const REAP_DEADLINE_MS = 30_000;

/**
 * Takes over what an earlier life left. Everything that runs is booked before this resolves, so that the books are true from
 * the first call on; whether it is healthy is found out behind the caller's back, while calls for it wait as for a start.
 */
export async function recover(
  context: EngineContext,
  lineFor: (task: TaskSpec, door: DoorName) => TaskLine,
  signal: AbortSignal,
): Promise<void> {
  const leftovers = await withDeadline(
    { ms: LIST_DEADLINE_MS, code: "ENGINE_UNAVAILABLE", parent: signal, clock: context.clock },
    (bounded) => context.driver.leftovers(bounded),
  );
  for (const leftover of leftovers) {
    const { task } = leftover;
    if (task === undefined) {
      context.track(reapUnknown(context, leftover));
      continue;
    }
    // Which door it once came through is not known any more; the books of the shares start with the HTTP door.
    const door: DoorName = "http";
    const line = lineFor(task, door);
    const held = leftover.isFrozen ? heldWhenFrozen(task.resources) : task.resources;
    context.books.assume(leftover.sandboxId, door, held, leftover.gpuIds);
    const owner = new SandboxOwner(context, {
      sandboxId: leftover.sandboxId,
      taskKey: line.key,
      task,
      door,
      imageDigest: leftover.imageDigest,
    });
    line.adopt(owner);
    context.track(adopt(context, owner, leftover));
  }
}

async function reapUnknown(context: EngineContext, leftover: Leftover): Promise<void> {
  await reap(context, leftover);
}

async function adopt(context: EngineContext, owner: SandboxOwner, leftover: Leftover): Promise<void> {
  try {
    const sandbox = await withDeadline(
      { ms: ADOPT_DEADLINE_MS, code: "START_TIMEOUT", parent: owner.startSignal, clock: context.clock },
      (signal) => leftover.adopt(signal),
    );
    context.log.log("info", "sandbox.adopted", { sandboxId: owner.id, image: owner.task.image });
    owner.ready(sandbox, leftover.isFrozen ? "frozen" : "hot");
  } catch (error) {
    if (await reap(context, leftover, error)) owner.failed();
  }
}

async function reap(context: EngineContext, leftover: Leftover, why?: unknown): Promise<boolean> {
  const { sandboxId } = leftover;
  const isGone = await untilRemoved(context, { sandboxId }, () =>
    withDeadline({ ms: REAP_DEADLINE_MS, code: "ENGINE_UNAVAILABLE", clock: context.clock }, (signal) =>
      leftover.reap(signal),
    ),
  );
  if (isGone) context.log.log("info", "sandbox.reaped", { sandboxId, why });
  return isGone;
}
