import { toProblem } from "../../../contract/problem.ts";
import type { Placement, Run } from "../../../contract/v1/calls.ts";
import type { ReceiptEntry } from "../../../contract/v1/receipts.ts";
import type { AttemptEntry, ErrorFacts, RunPlacement, RunRecord } from "../../../core/index.ts";
import { ExecutorError, outcomeOf, readFacts } from "../../../core/index.ts";
import type { ActiveRun } from "./active-run.ts";

/** The way in of every call that asks to be recorded. */
export const RECORDED_DOOR = "v1";

/** A run that is on its way, as the API shows it. */
export function showActive(run: ActiveRun): Run {
  return {
    id: run.runId,
    state: "running",
    door: RECORDED_DOOR,
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
    door: RECORDED_DOOR,
    image: record.image,
    createdAt: new Date(record.createdAtMs).toISOString(),
    ...(endedAtMs === undefined ? {} : { endedAt: new Date(endedAtMs).toISOString() }),
    ...showPlacement(record.placement),
    ...rest,
  };
}

/**
 * A run that has ended, as its receipt has it.
 *
 * @param record its own, if it asked for one: it knows more of its answer and of its error.
 * @param facts what its error was told with, as far as that is remembered.
 */
export function showAttempt(entry: AttemptEntry, record: RunRecord | undefined, facts: ErrorFacts = {}): Run {
  const receipt = toReceiptEntry(entry);
  if (record?.end !== undefined) return { ...showRecord(record), door: entry.door, receipt };
  const { id, door, image, acceptedAtUs, wallUs, outcome } = entry;
  return {
    id,
    state: outcome,
    door,
    image,
    createdAt: timeOf(acceptedAtUs),
    endedAt: timeOf(acceptedAtUs + wallUs),
    ...placementOf(entry),
    ...endOfAttempt(entry, facts),
    receipt,
  };
}

/** In the order of its keys as it is hashed. */
function toReceiptEntry(entry: AttemptEntry): ReceiptEntry {
  const { booked } = entry;
  return { ...entry, booked: { ...booked, gpuIds: [...booked.gpuIds] } };
}

function placementOf({ sandbox, isolation, digest, start, phasesUs }: AttemptEntry): Pick<Run, "placement"> {
  if (sandbox === undefined || isolation === undefined || digest === undefined || start === undefined)
    return {};
  const waited = WAITS.reduce((sum, phase) => sum + (phasesUs[phase] ?? 0), 0);
  return {
    placement: {
      sandboxId: sandbox,
      isolation,
      imageDigest: digest,
      start,
      waitedMs: waited / 1000,
      warnings: [],
    },
  };
}

/** Phases before a call has its slot. */
const WAITS = ["queued", "pull", "create", "start", "ready"] as const;

function endOfAttempt(entry: AttemptEntry, facts: ErrorFacts): Pick<Run, "answer" | "problem"> {
  const { outcome, status, used, id } = entry;
  if (outcome !== "answered") return { problem: toProblem(errorOfAttempt(entry, facts), id) as Problem };
  return status === undefined
    ? {}
    : { answer: { ...outcomeOf(status), bytes: used.bytesOut, isKept: false } };
}

/** What a failed attempt failed of; of its facts the chain keeps the short ones. */
function errorOfAttempt(
  { outcome, error, exitCode, signal, facts: kept }: AttemptEntry,
  facts: ErrorFacts,
): ExecutorError {
  const code = error ?? (outcome === "cancelled" ? "CALL_CANCELLED" : "INTERNAL");
  return new ExecutorError(code, {
    ...readFacts(kept),
    ...facts,
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(signal === undefined ? {} : { signal }),
  });
}

function timeOf(us: number): string {
  return new Date(Math.floor(us / 1000)).toISOString();
}

type Problem = NonNullable<Run["problem"]>;

function showEnd(record: RunRecord): Pick<Run, "state" | "answer" | "problem"> {
  const { end } = record;
  if (end === undefined) return { state: "running" };
  if (end.type === "answered") {
    const { status, contentType, bytes, isKept } = end;
    const type = contentType === undefined ? {} : { contentType };
    return { state: "answered", answer: { ...outcomeOf(status), ...type, bytes, isKept } };
  }
  const error = errorOf(record) ?? new ExecutorError("INTERNAL");
  const problem = toProblem(error, record.runId) as Problem;
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
