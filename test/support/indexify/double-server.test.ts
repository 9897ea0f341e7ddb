import type { MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { HeartbeatRequestSchema } from "../../../src/gen/executor_api_pb.js";
import { AllocationFailureReason, ExecutorAPI, ExecutorStatus } from "../../../src/gen/executor_api_pb.js";
import { openChannel } from "../../../src/std/grpc/open-channel.ts";
import { Scope } from "../../../src/std/index.ts";
import { poll } from "../poll.ts";
import { DoubleServer } from "./double-server.ts";

const MESSAGE_BYTES = 32 * 1024 * 1024;
const ID = "host-1";
const LIMITS = { deadlineMs: undefined, signal: new AbortController().signal };
const FULL = {
  fullState: {
    ...{ hostname: "h", version: "1" },
    totalContainerResources: { cpuCount: 1, memoryBytes: 1n, diskBytes: 1n },
  },
};
const kill = (allocationId: string) => ({ case: "killAllocation" as const, value: { allocationId } });

/** A double, and an executor that does what the test says. */
async function openScene(lapseMs?: number) {
  const scope = new Scope();
  const server = scope.use(new DoubleServer({}, lapseMs));
  await server.start();
  const channel = scope.use(
    openChannel({
      ...{ address: server.address, tls: undefined, keepalive: undefined },
      ...{ maxSendBytes: MESSAGE_BYTES, maxReceiveBytes: MESSAGE_BYTES },
      reconnect: { firstMs: 50, maxMs: 200 },
    }),
  );
  const { heartbeat, poll_commands } = ExecutorAPI.method;
  const beat = (more: MessageInitShape<typeof HeartbeatRequestSchema> = {}) =>
    channel.call(heartbeat, { executorId: ID, status: ExecutorStatus.RUNNING, ...more }, LIMITS);
  const ask = async (ackedCommandSeq?: bigint, signal = LIMITS.signal): Promise<readonly bigint[]> => {
    const ack = ackedCommandSeq === undefined ? {} : { ackedCommandSeq };
    const request = { executorId: ID, ...ack };
    return (await channel.call(poll_commands, request, { ...LIMITS, signal })).commands.map(({ seq }) => seq);
  };
  const violations = async (): Promise<readonly string[]> => {
    await poll("it is noticed", () => server.violations.length > 0 || "not yet");
    return server.violations;
  };
  return { server, beat, ask, violations, [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose]() };
}

test("a heartbeat that breaks a rule by itself is noticed", async () => {
  await using scene = await openScene();
  await scene.beat({ status: ExecutorStatus.DRAINED });
  expect(await scene.violations()).toEqual(["3.4: status 3 of one that lives"]);
});

test("what breaks a rule after what was said before is noticed", async () => {
  await using scene = await openScene();
  await scene.ask().catch(() => undefined);
  expect(await scene.violations()).toEqual(["3.1: it polls before it has registered"]);
});

test("3.6: numbers that are acknowledged in order are no violation, and an executor that begins anew is asked", async () => {
  await using scene = await openScene();
  const { server, beat, ask } = scene;
  await beat(FULL);
  for (const id of ["a", "b"]) server.send(ID, kill(id));
  expect(await ask()).toEqual([1n, 2n]);
  expect(await ask(1n)).toEqual([2n]);
  server.misbehaviour.pollHoldMs = 1;
  expect(await ask(2n)).toEqual([]);
  await ask();
  expect((await beat()).sendState).toBe(true);
  expect(server.violations).toEqual([]);
});

test("3.6: an acknowledgement of 0, of what was never handed out, and of less than before are noticed", async () => {
  await using scene = await openScene();
  const { server, beat, ask } = scene;
  server.misbehaviour.pollHoldMs = 1;
  await beat(FULL);
  for (const id of ["a", "b", "c"]) server.send(ID, kill(id));
  server.misbehaviour.skipsCommand = 3n;
  await ask(0n);
  expect(server.violations.splice(0)).toEqual(["3.6: commands: an acknowledgement of 0 is to be left out"]);
  // The fourth was handed out, and cannot be applied before the third.
  server.send(ID, kill("d"));
  expect(await ask()).toEqual([1n, 2n, 4n]);
  await ask(4n);
  expect(server.violations.splice(0)).toEqual(["3.6: commands: 4 acknowledged, 2 handed out"]);
  await ask(1n);
  expect(server.violations.splice(0)).toEqual(["3.6: commands: 1 acknowledged after 4"]);
});

test.each([
  ["a full state", FULL],
  ["STOPPED", { status: ExecutorStatus.STOPPED }],
])("3.1: %s while a poll is open is noticed, and not where it was given up", async (why, last) => {
  await using scene = await openScene();
  const { server, beat, ask } = scene;
  await beat(FULL);
  const controller = new AbortController();
  const givenUp = ask(undefined, controller.signal);
  await beat();
  controller.abort();
  await givenUp.catch(() => undefined);
  await beat(last);
  await beat(FULL);
  await beat();
  const noticed = (): readonly string[] => server.violations.filter((text) => text.startsWith("3.1"));
  const open = ask();
  await beat();
  expect(noticed()).toEqual([]);
  await beat(last);
  await open;
  await poll("it is noticed", () => noticed().length > 0 || "not yet");
  expect(noticed()).toEqual([`3.1: ${why} came while a poll for commands was open`]);
});

test("3.4: two heartbeats at once are noticed", async () => {
  await using scene = await openScene();
  const { server, beat, violations } = scene;
  await beat(FULL);
  server.misbehaviour.delayMs = 20;
  await Promise.all([beat(), beat()]);
  expect(await violations()).toEqual(["3.4: two heartbeats at once"]);
});

test("3.5: a log entry that comes after its outcome is noticed, and not one that is sent again", async () => {
  await using scene = await openScene();
  const { server, beat } = scene;
  const entry = (requestId: string) => ({
    allocationLogEntries: [
      {
        allocationId: "1",
        entry: {
          case: "callFunction" as const,
          value: {
            ...{ namespace: "n", application: "a", requestId, sourceFunctionCallId: "c" },
            updates: {},
          },
        },
      },
    ],
  });
  const value = {
    ...{ allocationId: "1", requestId: "r", functionCallId: "c" },
    function: { namespace: "n", applicationName: "a", functionName: "f" },
    reason: AllocationFailureReason.OOM,
  };
  const both = { ...entry("r"), allocationOutcomes: [{ outcome: { case: "failed" as const, value } }] };
  await beat(FULL);
  await beat(both);
  await beat(both);
  expect(server.violations).toEqual([]);
  await beat(entry("late"));
  expect(server.violations).toEqual(["3.5: a log entry of 1 came after its outcome"]);
});

test("3.8: an executor that is silent for too long is forgotten, its polls end, and it is asked anew", async () => {
  await using scene = await openScene(200);
  const { server, beat, ask } = scene;
  await beat(FULL);
  expect(await ask()).toEqual([]);
  expect(server.lapsed).toEqual([ID]);
  await expect(ask()).rejects.toMatchObject({ details: "executor not registered" });
  expect((await beat()).sendState).toBe(true);
  expect(server.violations).toEqual([]);
});
