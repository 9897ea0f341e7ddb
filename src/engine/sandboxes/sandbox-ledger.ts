import type { Amounts, Holding, Resources, SandboxId } from "../../core/index.ts";
import { NO_RESOURCES, plus, survivesFreeze } from "../../core/index.ts";
import type { DeskSandboxes } from "../admission-desk.ts";
import type { TaskLines } from "../calls/task-lines.ts";
import type { EngineContext } from "../context.ts";
import type { HeldJob } from "../jobs/held-job.ts";
import type { SandboxOwner } from "./sandbox-owner.ts";

/** All sandboxes of all tasks and jobs, as the admission desk sees and moves them. */
export function sandboxesForDesk(
  lines: TaskLines,
  jobs: () => readonly HeldJob[],
  context: () => EngineContext,
): DeskSandboxes {
  const booked = (sandboxId: SandboxId): Resources =>
    context().books.heldBy(sandboxId)?.resources ?? NO_RESOURCES;
  const held = (owner: SandboxOwner): Resources => booked(owner.id);

  return {
    holdings: () => {
      const holdings: Holding[] = [];
      for (const owner of lines.owners()) {
        const { type } = owner.state;
        if (type !== "hot" && type !== "frozen" && type !== "retiring") continue;
        // What a session holds is nobody else's, busy or not.
        if (owner.pins > 0) continue;
        holdings.push({
          sandboxId: owner.id,
          held: held(owner),
          isIdle: owner.isIdle,
          canFreeze: type === "hot" && context().driver.capabilities.canFreeze && keepsFrozen(owner),
          lastUsedMs: owner.lastUsedMs,
          startCostMs: owner.startCostMs,
        });
      }
      return holdings;
    },
    jobs: () =>
      jobs()
        .filter((job) => job.state !== "removing")
        .map((job) => ({
          sandboxId: job.sandboxId,
          held: booked(job.sandboxId),
          isIdle: false,
          canFreeze: false,
          lastUsedMs: job.heldSinceMs,
          startCostMs: 0,
        })),
    releasing: () => {
      let sum: Amounts = NO_RESOURCES;
      for (const owner of lines.owners()) {
        const { type } = owner.state;
        if (type === "stopping") sum = plus(sum, held(owner));
        else if (type === "freezing") sum = plus(sum, { ...NO_RESOURCES, cpuMillis: held(owner).cpuMillis });
      }
      for (const job of jobs()) if (job.state === "removing") sum = plus(sum, booked(job.sandboxId));
      return sum;
    },
    leaving: () => {
      const leaving = new Set<SandboxId>();
      for (const owner of lines.owners()) if (owner.state.type === "stopping") leaving.add(owner.id);
      for (const job of jobs()) if (job.state === "removing") leaving.add(job.sandboxId);
      return leaving;
    },
    freeze: (sandboxId, forSandbox) => lines.find(sandboxId)?.freeze(forSandbox),
    evict: (sandboxId, forSandbox) => lines.find(sandboxId)?.stop("evicted", "kill", forSandbox),
    hold: (sandboxIds) => {
      for (const owner of lines.owners()) owner.isHeld = sandboxIds.has(owner.id);
    },
  };
}

function keepsFrozen({ maybeSandbox }: SandboxOwner): boolean {
  return maybeSandbox !== undefined && survivesFreeze(maybeSandbox.isolation);
}
