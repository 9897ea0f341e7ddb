import { toProblem } from "../../../contract/problem.ts";
import type { Placement, Run } from "../../../contract/v1/calls.ts";
import type { RunPlacement, RunRecord } from "../../../core/index.ts";
import { ExecutorError, outcomeOf } from "../../../core/index.ts";
import type { ActiveRun } from "./active-run.ts";

/** A run that is on its way, as the API shows it. */
export function showActive(run: ActiveRun): Run {
  return {
    id: run.runId,
    state: "running",
    image: run.image,
    createdAt: new Date(run.createdAtMs).toISOString(),
    progress: run.progress,
    ...showPlacement(run.placement),
  };
}

/** A recorded run, as the API shows it. */
export function showRecord(record: RunRecord): Run {
  const { state, ...rest } = showEnd(record);
  const { endedAtMs } = record;
  return {
    id: record.runId,
    state,
    image: record.image,
    createdAt: new Date(record.createdAtMs).toISOString(),
    ...(endedAtMs === undefined ? {} : { endedAt: new Date(endedAtMs).toISOString() }),
    ...showPlacement(record.placement),
    ...rest,
  };
}

function showEnd(record: RunRecord): Pick<Run, "state" | "answer" | "problem"> {
  const { end } = record;
  if (end === undefined) return { state: "running" };
  if (end.type === "answered") {
    const { status, contentType, bytes, isKept } = end;
    const type = contentType === undefined ? {} : { contentType };
    return { state: "answered", answer: { ...outcomeOf(status), ...type, bytes, isKept } };
  }
  const error = errorOf(record) ?? new ExecutorError("INTERNAL");
  const problem = toProblem(error, record.runId) as NonNullable<Run["problem"]>;
  if (end.type === "lost") return { state: "lost", problem };
  return { state: end.code === "CALL_CANCELLED" ? "cancelled" : "failed", problem };
}

/** Why a run was not answered; `undefined` if it was, or still runs. */
export function errorOf({ end }: RunRecord): ExecutorError | undefined {
  if (end?.type === "failed") return new ExecutorError(end.code, end.facts);
  if (end?.type === "lost") return new ExecutorError("RUN_LOST");
  return undefined;
}

function showPlacement(placement: RunPlacement | undefined): { placement?: Placement } {
  if (placement === undefined) return {};
  return { placement: { ...placement, warnings: [...placement.warnings] } };
}
