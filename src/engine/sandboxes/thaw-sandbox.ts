import { asId } from "../../core/index.ts";
import type { TaskLine } from "../calls/task-line.ts";
import type { EngineContext } from "../context.ts";
import type { SandboxOwner } from "./sandbox-owner.ts";

/** Waits for the CPU of a frozen sandbox, books it, and wakes it. Ends early, with nothing booked, when the signal aborts. */
export async function thawSandbox(
  context: EngineContext,
  line: TaskLine,
  owner: SandboxOwner,
  signal: AbortSignal,
): Promise<void> {
  const { resources } = owner.task;
  const demand = {
    id: asId<"demand">(owner.id),
    door: owner.door,
    need: { cpuMillis: resources.cpuMillis, memoryBytes: 0, gpuCount: 0, gpuMemoryBytes: 0 },
    keep: owner.id,
    enqueuedAtMs: context.clock.nowMs(),
  };
  try {
    await context.desk.apply(
      {
        demand,
        book: () => {
          // A sandbox that went away meanwhile needs no CPU; its callers are supplied anew below.
          if (owner.state.type !== "frozen") return true;
          if (!context.books.resize(owner.id, resources)) return false;
          // In the same step, or its CPU would look like that of an idle sandbox.
          owner.thaw();
          return true;
        },
      },
      signal,
    );
  } catch {
    // The only way to fail is the signal: whoever waited has gone or was refused.
    line.thawEnded(owner);
    return;
  }
  line.thawEnded(owner);
}
