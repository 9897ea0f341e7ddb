import { afterAll, beforeAll, expect, test } from "vitest";
import type { Run } from "../../src/client/index.ts";
import type { Problem } from "../support/caller.ts";
import type { TaskFolders } from "../support/echo-tasks.ts";
import { makeTaskFolders } from "../support/echo-tasks.ts";
import { poll } from "../support/poll.ts";
import { receiptOf } from "../support/receipts.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { startDaemon } from "../support/start-daemon.ts";

interface Refused {
  readonly runId: string;
  /** What its caller was told; the older paths tell only a sentence. */
  readonly problem: Problem | undefined;
  readonly code: string;
}

let tasks: TaskFolders;
beforeAll(async () => {
  tasks = await makeTaskFolders(["a"]);
});
afterAll(async () => {
  await tasks[Symbol.asyncDispose]();
});

async function refusedOnV1(daemon: Daemon, query: string, code: string): Promise<Refused> {
  const answer = await fetch(`${daemon.baseUrl}/v1/calls?${query}`, { method: "POST", body: "x" });
  const problem = (await answer.json()) as Problem;
  expect(problem.code).toBe(code);
  return { runId: answer.headers.get("hearth-run-id") ?? "", problem, code };
}

async function refusedOnLegacy(daemon: Daemon, body: unknown, code: string): Promise<Refused> {
  const answer = await fetch(daemon.baseUrl, { method: "POST", body: JSON.stringify(body) });
  await answer.arrayBuffer();
  return { runId: answer.headers.get("hearth-run-id") ?? "", problem: undefined, code };
}

/** The run by its id, once its receipt is in the chain. */
async function runOf({ baseUrl }: Daemon, runId: string): Promise<Run> {
  let run: Run | undefined;
  await poll(`the run ${runId} is found`, async () => {
    const answer = await fetch(`${baseUrl}/v1/runs/${runId}`);
    if (answer.status !== 200) return `${answer.status} ${await answer.text()}`;
    run = (await answer.json()) as Run;
    return true;
  });
  return run as Run;
}

async function expectFound(daemon: Daemon, refused: readonly Refused[]): Promise<void> {
  for (const { runId, problem, code } of refused) {
    const run = await runOf(daemon, runId);
    expect(run).toMatchObject({ id: runId, state: "failed", problem: { code } });
    if (problem === undefined) continue;
    const { detail, facts, retry, fault } = problem;
    expect(run.problem).toMatchObject({ detail, facts, retry, fault });
  }
}

test("W: a refused call is found by the id that its answer named, with the figures that its caller was told, also in the next life", async () => {
  await using state = await makeTaskFolders([]);
  const options = { env: { ...tasks.env, HEARTH_CPU: "1.5" }, stateDir: `${state.path}/state` };
  const refused: Refused[] = [];
  {
    await using daemon = await startDaemon(options);
    refused.push(
      await refusedOnV1(daemon, "image=a&cpu=2.5", "RESOURCES_EXCEED_LIMIT"),
      await refusedOnV1(daemon, "image=nobody", "TASK_NOT_FOUND"),
      await refusedOnLegacy(daemon, { id: "a", input: "", resource: { cpu: 64 } }, "RESOURCES_EXCEED_LIMIT"),
      await refusedOnLegacy(daemon, { id: "nobody", input: "" }, "TASK_NOT_FOUND"),
    );
    expect((await fetch(`${daemon.baseUrl}/pause`, { method: "POST" })).ok).toBe(true);
    refused.push(
      await refusedOnV1(daemon, "image=a", "PAUSED"),
      await refusedOnLegacy(daemon, { id: "a", input: "" }, "PAUSED"),
    );
    expect(new Set(refused.map(({ runId }) => runId)).size).toBe(6);
    expect(refused[0]?.problem?.facts).toMatchObject({ asked: 2.5, limit: 1.5 });
    await expectFound(daemon, refused);
    expect(await daemon.end("SIGTERM")).toBe(0);
  }
  await using next = await startDaemon(options);
  await expectFound(next, refused);
  const { entry } = await receiptOf(next, refused[0]?.runId ?? "");
  expect(JSON.parse(entry.facts ?? "")).toEqual(refused[0]?.problem?.facts);
}, 180_000);
