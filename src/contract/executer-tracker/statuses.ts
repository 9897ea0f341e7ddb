import * as z from "zod";

/** Every status that a task of 2023 can have; a client of that time raises on any other text (section 4.3). */
export const TASK_STATUSES = [
  "pending-input",
  "submitted",
  "started",
  "success",
  "failed",
  "pending-kill",
  "killed",
  "spot-instance-preempted",
  "executer-terminated",
  "executer-failed",
] as const;
export const taskStatus = z.enum(TASK_STATUSES);
export type TaskStatus = z.output<typeof taskStatus>;

export const TERMINATION_REASONS = ["interrupted", "preempted", "error"] as const;
export const terminationReason = z.enum(TERMINATION_REASONS);
export type TerminationReason = z.output<typeof terminationReason>;

/** What becomes of the tasks that an executer names as stopped when it ends. */
export const STOPPED_STATUS = {
  interrupted: "executer-terminated",
  preempted: "spot-instance-preempted",
  error: "executer-failed",
} as const satisfies Record<TerminationReason, TaskStatus>;
