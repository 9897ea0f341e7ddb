import { toProblem } from "../../../contract/problem.ts";
import type { Verdict } from "../../../contract/v1/explain.ts";
import type { SandboxId } from "../../../core/index.ts";
import type { Verdict as EngineVerdict, Executor } from "../../../engine/executor.ts";
import { sendJson } from "../answer/send-json.ts";
import { toTask } from "../calls/to-task.ts";
import type { Handler } from "./handler.ts";

export const explain: Handler<"explain"> = async ({ executor }, context, { body: wish }) => {
  const verdict = await executor.explain(toTask(wish, executor), "http", context.signal);
  sendJson(context.response, 200, show(verdict, namesIn(executor), context.runId));
};

type Names = (ids: readonly SandboxId[]) => { sandboxId: string; image: string }[];

function namesIn(executor: Executor): Names {
  const images = new Map(executor.sandboxes().map(({ sandboxId, task }) => [sandboxId, task.image]));
  return (ids) => ids.map((sandboxId) => ({ sandboxId, image: images.get(sandboxId) ?? "" }));
}

function show(verdict: EngineVerdict, names: Names, requestId: string): Verdict {
  switch (verdict.type) {
    case "warm":
      return { ...verdict, reason: "a warm sandbox has a free slot" };
    case "room":
      return showRoom(verdict, names);
    case "wait": {
      const { expectedMs, busy, ...rest } = verdict;
      const expected = expectedMs === undefined ? {} : { expectedMs };
      return { ...rest, type: "waits", busy: names(busy), ...expected };
    }
    case "refused": {
      const problem = toProblem(verdict.error, requestId) as (Verdict & { type: "refused" })["problem"];
      return { type: "refused", reason: verdict.error.message, problem };
    }
  }
}

function showRoom(verdict: EngineVerdict & { readonly type: "room" }, names: Names): Verdict {
  const freeze = names(verdict.freeze);
  const evict = names(verdict.evict);
  const cost = costOf(freeze.length, evict.length);
  if (verdict.sandboxId === undefined) {
    const reason = `there is room for a new sandbox${cost}`;
    return { type: "starts", reason, freeze, evict, gpuIds: [...verdict.gpuIds] };
  }
  const reason = `its frozen sandbox can wake${cost}`;
  return { type: "wakes", reason, freeze, evict, sandboxId: verdict.sandboxId };
}

function costOf(frozen: number, evicted: number): string {
  const costs = [
    ...(frozen === 0 ? [] : [`${frozen} idle ${frozen === 1 ? "one is" : "ones are"} frozen`]),
    ...(evicted === 0 ? [] : [`${evicted} idle ${evicted === 1 ? "one is" : "ones are"} removed`]),
  ];
  return costs.length === 0 ? "" : `, once ${costs.join(" and ")}`;
}
