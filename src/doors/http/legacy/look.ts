import { ExecutorError } from "../../../core/index.ts";
import type { ExecutorView } from "../../../engine/executor.ts";
import { withDeadline } from "../../../std/index.ts";
import { sendText } from "../answer/send-json.ts";
import type { DoorParts } from "../parts.ts";
import type { RequestContext } from "../request-context.ts";
import { toStats } from "../stats.ts";
import { sendLegacy } from "./send-legacy.ts";

const HEALTH_TIMEOUT_MS = 2000;
/** Probes may come often; the engine is asked at most once per this long. */
const HEALTH_FRESH_MS = 1000;

/** `GET /stats`. While paused it fails, as clients are used to; `/v1/stats` does not. */
export function stats({ executor }: DoorParts, { response }: RequestContext): void {
  const view = executor.view();
  sendLegacy(
    response,
    200,
    isPaused(view) ? { success: false, msg: "failed to retrieve resource stats" } : toStats(view),
  );
}

export type Health = (parts: DoorParts, context: RequestContext) => Promise<void>;

/** `GET /health`: ok only while the engine answers, and not while the daemon ends. A paused daemon is well, and says so. */
export function openHealth(nowMs: () => number): Health {
  let asked: { readonly atMs: number; readonly answer: Promise<ExecutorError | undefined> } | undefined;
  return async (parts, { response }) => {
    if (parts.isClosing() || parts.executor.view().state === "draining") throw new ExecutorError("DRAINING");
    if (asked === undefined || nowMs() - asked.atMs >= HEALTH_FRESH_MS) {
      asked = { atMs: nowMs(), answer: askEngine(parts) };
    }
    const error = await asked.answer;
    if (error !== undefined) throw error;
    const status = isPaused(parts.executor.view()) ? "paused" : "ok";
    sendText(response, 200, `{"status":"${status}"}`, { "content-type": "application/json; charset=utf-8" });
  };
}

function isPaused({ state }: ExecutorView): boolean {
  return state === "paused" || state === "pausing";
}

/** What is wrong, or nothing. */
async function askEngine({ executor }: DoorParts): Promise<ExecutorError | undefined> {
  try {
    const facts = { reason: `no answer within ${HEALTH_TIMEOUT_MS} ms` };
    const health = await withDeadline(
      { ms: HEALTH_TIMEOUT_MS, code: "ENGINE_UNAVAILABLE", facts },
      (signal) => executor.health(signal),
    );
    return health.isHealthy ? undefined : new ExecutorError("ENGINE_UNAVAILABLE", { reason: health.reason });
  } catch (error) {
    return ExecutorError.from(error);
  }
}
