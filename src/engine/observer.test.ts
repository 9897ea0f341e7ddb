import { expect, test } from "vitest";
import { record, task, testExecutor } from "../../test/support/test-executor.ts";
import { settle } from "../../test/support/virtual-clock.ts";
import type { CallStory, Observer } from "../core/index.ts";
import { asId, joinObservers, NO_OBSERVER } from "../core/index.ts";

/** Everything that is told, in its order, as one line each. */
function notebook(): { readonly lines: string[]; readonly calls: CallStory[]; readonly observer: Observer } {
  const lines: string[] = [];
  const calls: CallStory[] = [];
  const observer: Observer = {
    callQueued: ({ task: { image } }) => lines.push(`queued ${image}`),
    callPlaced: ({ task: { image }, placement }) => lines.push(`placed ${image} ${placement?.start}`),
    callEnded: (call) => {
      lines.push(`ended ${call.task.image} ${call.end}`);
      calls.push(call);
    },
    startEnded: ({ task: { image }, error }) => lines.push(`start ${image} ${error?.message ?? "ok"}`),
    sandboxChanged: ({ sandboxId, from, to, cause, forSandbox }) =>
      lines.push(
        `${sandboxId} ${from ?? "-"}>${to} ${cause ?? ""}${forSandbox ? ` for ${forSandbox}` : ""}`.trim(),
      ),
    jobChanged: ({ mark }, from) => lines.push(`job ${mark.jobId} ${from ?? "-"}`),
    jobEnded: ({ mark, end }) => lines.push(`job ${mark.jobId} ended: ${end}`),
    executorChanged: (state) => lines.push(`executor ${state}`),
    engineCalled: (verb, _tookMs, error) => lines.push(`engine ${verb} ${error ?? "ok"}`),
  };
  return { lines, calls, observer };
}

test("a cold call is told step by step, a warm one only when it has ended", async () => {
  const { lines, calls, observer } = notebook();
  const { executor, channels, clock } = await testExecutor({}, {}, undefined, observer);
  lines.length = 0;
  record(executor, task("a"), { runId: asId<"run">("r1") });
  await clock.advance(10);
  await clock.advance(40);
  channels.calls[0]?.answer("hello");
  await settle();
  expect(lines).toEqual([
    "queued a",
    "engine resolve ok",
    "s1 ->starting",
    "engine start ok",
    "start a ok",
    "s1 starting>hot",
    "placed a cold",
    "ended a answered",
  ]);
  const [cold] = calls;
  expect(cold).toMatchObject({
    door: "http",
    runId: "r1",
    bytesIn: 2,
    bytesOut: 5,
    status: 200,
    end: "answered",
  });
  expect(cold?.start).toMatchObject({ sandboxId: "s1", phases: expect.anything(), error: undefined });
  const times = [cold?.acceptedAtMs, cold?.placedAtMs, cold?.headAtMs, cold?.endedAtMs];
  expect([...times].sort((a, b) => Number(a) - Number(b))).toEqual(times);

  lines.length = 0;
  record(executor, task("a"));
  await settle();
  channels.calls[0]?.answer();
  await settle();
  expect(lines).toEqual(["ended a answered"]);
});

test("a refused call, a failed start and a cancelled call each end once, with their reason", async () => {
  const { lines, calls, observer } = notebook();
  const { executor, driver, clock } = await testExecutor({}, {}, undefined, observer);
  record(executor, task("forbidden"));
  driver.script("start", "reject");
  record(executor, task("broken"));
  await clock.advance(10);
  const gone = record(executor, task("slow"));
  gone.cancel();
  await clock.advance(10);
  expect(
    calls.map(({ task: { image }, end, error }) => [
      image,
      end,
      (error as { code?: string } | undefined)?.code,
    ]),
  ).toEqual([
    ["forbidden", "failed", "IMAGE_FORBIDDEN"],
    ["broken", "failed", "SANDBOX_START_FAILED"],
    ["slow", "cancelled", undefined],
  ]);
  expect(lines).toContain("engine start SANDBOX_START_FAILED");
  expect(lines.filter((line) => line.startsWith("ended"))).toHaveLength(3);
});

test("a sandbox that makes room says for whom, and the executor says when it pauses", async () => {
  const { lines, observer } = notebook();
  const parts = await testExecutor(
    { cpuMillis: 1000 },
    { capabilities: { canFreeze: false } },
    undefined,
    observer,
  );
  record(parts.executor, task("a"));
  await parts.clock.advance(10);
  parts.channels.calls[0]?.answer();
  await settle();
  record(parts.executor, task("b"));
  await parts.clock.advance(10);
  expect(lines).toContain("s1 hot>stopping evicted for s2");
  const pausing = parts.executor.pause();
  await settle();
  parts.channels.calls[0]?.answer();
  await parts.clock.advance(11_000);
  await pausing;
  parts.executor.unpause();
  expect(lines.filter((line) => line.startsWith("executor"))).toEqual([
    "executor pausing",
    "executor paused",
    "executor running",
  ]);
});

test("several observers hear the same, in their order", () => {
  const heard: string[] = [];
  const one = (name: string): Observer => ({
    ...NO_OBSERVER,
    executorChanged: (state) => heard.push(`${name} ${state}`),
  });
  joinObservers([one("a"), one("b")]).executorChanged("paused");
  joinObservers([one("c")]).executorChanged("running");
  joinObservers([]).executorChanged("running");
  expect(heard).toEqual(["a paused", "b paused", "c running"]);
});
