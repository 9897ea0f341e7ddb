import type { Run } from "../../../contract/v1/calls.ts";
import { NDJSON_TYPE } from "../../../contract/v1/route.ts";
import type { RunId } from "../../../core/index.ts";
import { asId, ExecutorError } from "../../../core/index.ts";
import { jsonEvents, wantedStream } from "../answer/event-streams.ts";
import { sendJson } from "../answer/send-json.ts";
import type { DoorParts } from "../parts.ts";
import { replay } from "../runs/replay.ts";
import type { Handler } from "./handler.ts";

export const listRuns: Handler<"listRuns"> = async (parts, { response }, { query }) => {
  sendJson(response, 200, await parts.book.list(query));
};

export const getRun: Handler<"getRun"> = async (parts, { response }, { params }) => {
  sendJson(response, 200, await parts.book.get(asId<"run">(params.runId)));
};

export const getAnswer: Handler<"getAnswer"> = async (parts, context, { params }) => {
  const runId = asId<"run">(params.runId);
  const record = await parts.options.records.get(runId);
  if (record !== undefined) {
    await replay(parts, context, record, "RUN_RUNNING");
    return;
  }
  const run = await parts.book.get(runId);
  context.response.setHeader("Hearth-Run-Id", runId);
  // The chain keeps how it ended, never what it was answered.
  throw run.problem === undefined
    ? new ExecutorError("ANSWER_NOT_KEPT", { runId })
    : new ExecutorError(run.problem.code, run.problem.facts);
};

/** The run now and after each change; a client that reads slowly misses steps in between, never the end. */
export const followRun: Handler<"followRun"> = async (parts, context, { params }) => {
  const runId = asId<"run">(params.runId);
  const format = jsonEvents(wantedStream(context) ?? NDJSON_TYPE);
  await parts.streams.send(context, format, (signal) => changes(parts, runId, signal));
};

export const cancelRun: Handler<"cancelRun"> = async (parts, { response }, { params }) => {
  const runId = asId<"run">(params.runId);
  const active = parts.runs.active(runId);
  if (active !== undefined) {
    active.cancel();
    await parts.runs.flush();
  }
  sendJson(response, 200, await parts.book.get(runId));
};

async function* changes(parts: DoorParts, runId: RunId, signal: AbortSignal): AsyncGenerator<Run> {
  const isOver = (): boolean => signal.aborted;
  for (;;) {
    const active = parts.runs.active(runId);
    // Watching begins before the look, so that no change falls between the two.
    const changed = active === undefined ? undefined : nextChange(active, signal);
    const run = await parts.book.get(runId);
    yield run;
    if (run.state !== "running" || changed === undefined || isOver()) return;
    await changed;
    if (isOver()) return;
  }
}

function nextChange(run: { watch(onChange: () => void): () => void }, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      unwatch();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const unwatch = run.watch(done);
    signal.addEventListener("abort", done, { once: true });
  });
}
