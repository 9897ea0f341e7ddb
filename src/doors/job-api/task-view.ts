import type { BookedExecuter, BookedTask } from "../../core/index.ts";

/** A task as `GET /tasks` shows it (`contracts/executer-tracker.md` 8). Fields beside the contract's are passed over by its clients. */
export function taskView(task: BookedTask, executer: BookedExecuter | undefined): Record<string, unknown> {
  return {
    task_id: task.id,
    status: task.status,
    method_name: task.method,
    create_time: task.createTime,
    input_submit_time: task.inputTime ?? null,
    start_time: task.startTime ?? null,
    end_time: task.endTime ?? null,
    executer: executer === undefined ? null : executerView(executer),
    detail: task.detail ?? null,
    exit_code: task.exitCode ?? null,
  };
}

function executerView(executer: BookedExecuter): Record<string, unknown> {
  const common = {
    uuid: executer.uuid,
    cpu_count_logical: executer.cpuCountLogical,
    cpu_count_physical: executer.cpuCountPhysical,
    memory: executer.memoryBytes,
    host_type: executer.hostType,
  };
  if (executer.hostType !== "gcloud") return common;
  return { ...common, vm_type: executer.vmType ?? "", vm_name: executer.vmName ?? "" };
}
