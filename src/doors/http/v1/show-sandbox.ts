import type { Sandbox, WaitingCall } from "../../../contract/v1/sandboxes.ts";
import type { SandboxView, WaitingView } from "../../../engine/executor.ts";

/** A sandbox as the API shows it. */
export function showSandbox(view: SandboxView): Sandbox {
  return {
    id: view.sandboxId,
    label: view.label,
    taskKey: view.taskKey,
    image: view.task.image,
    ...(view.imageDigest === undefined ? {} : { imageDigest: view.imageDigest }),
    ...(view.isolation === undefined ? {} : { isolation: view.isolation }),
    isolationWish: view.task.isolation,
    network: view.task.network,
    sgx: view.task.sgx,
    tier: view.tier,
    resources: view.task.resources,
    gpuIds: [...view.gpuIds],
    reserved: view.reserved,
    slotsUsed: view.slotsUsed,
    slots: view.slots,
    calls: view.calls,
    sessions: view.sessions,
    ageMs: view.ageMs,
    ...(view.idleMs === undefined ? {} : { idleMs: view.idleMs }),
    ...(view.phases === undefined ? {} : { phases: view.phases }),
    warnings: [...view.warnings],
  };
}

/** What waits, as the API shows it. */
export function showWaiting(view: WaitingView): WaitingCall {
  const { taskKey, task, callers, waitedMs, reason, jobIds } = view;
  const jobs = jobIds === undefined ? {} : { jobIds: [...jobIds] };
  return { taskKey, image: task.image, resources: task.resources, callers, waitedMs, reason, ...jobs };
}
