import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  CommandSchema,
  ContainerStatus,
  ExecutorStatus,
  HeartbeatRequestSchema,
} from "../../../src/gen/executor_api_pb.js";
import { Conversation } from "./conversation.ts";
import type { Plain } from "./whole-parts.ts";

type Beat = Plain<typeof HeartbeatRequestSchema>;
type Sent = MessageInitShape<typeof CommandSchema>["command"];

/** A conversation with one executor, and what is complained of. */
function converse() {
  const faults: string[] = [];
  const conversation = new Conversation((text) => faults.push(text));
  const id = "host-1";
  const heard = (beat: Beat, isKnown = true): void =>
    conversation.heard(id, create(HeartbeatRequestSchema, beat), isKnown);
  const answered = (beat: Beat, sendState = false, isDropped = sendState): void =>
    conversation.answered(id, create(HeartbeatRequestSchema, beat), sendState, isDropped);
  return {
    ...{ faults, conversation, id, heard, answered },
    beat(beat: Beat): void {
      heard(beat);
      answered(beat);
    },
    /** It comes, is asked who it is, and says so. */
    register(): void {
      heard({}, false);
      answered({}, true);
      heard(FULL, false);
      answered(FULL);
    },
    send: (seq: bigint, command: Sent): void =>
      conversation.sent(create(CommandSchema, { seq, command: command! })),
  };
}

const FULL: Beat = { fullState: {} };
const CONTAINER = { id: "k", maxConcurrency: 3, function: { functionName: "f" }, poolId: "" };
const ADD = { case: "addContainer" as const, value: { container: CONTAINER } };
const stateOf = (description: object): Beat => ({
  fullState: { containerStates: [{ description, status: ContainerStatus.RUNNING }] },
});
const ALLOCATION = {
  ...{ allocationId: "1", requestId: "r", functionCallId: "c" },
  function: { namespace: "n", applicationName: "a", functionName: "f" },
};
const RUN = { case: "runAllocation" as const, value: { allocation: ALLOCATION } };
const scheduled = (commandSeq: bigint): Beat => ({
  commandResponses: [{ commandSeq, response: { case: "allocationScheduled", value: { allocationId: "1" } } }],
});
const failed = (more: object = {}): Beat => ({
  allocationOutcomes: [{ outcome: { case: "failed", value: { ...ALLOCATION, ...more } } }],
});
const called = (more: object = {}): Beat => {
  const value = { namespace: "n", application: "a", requestId: "r", sourceFunctionCallId: "c", ...more };
  return { allocationLogEntries: [{ allocationId: "1", entry: { case: "callFunction", value } }] };
};

test("a life without fault: it registers, works, is asked again, ends and begins anew", () => {
  const { faults, conversation, id, register, beat, send, heard, answered } = converse();
  register();
  conversation.polled(id);
  send(1n, ADD);
  send(2n, RUN);
  for (const one of [scheduled(2n), called(), failed()]) beat(one);
  heard(scheduled(2n));
  answered(scheduled(2n), true);
  // The answer to one heartbeat may be lost.
  heard(scheduled(2n));
  answered(scheduled(2n), true);
  const again = { ...stateOf(CONTAINER), ...scheduled(2n) };
  heard(again);
  answered(again);
  beat(again);
  beat({});
  conversation.mayBringState(id);
  beat(FULL);
  beat({});
  conversation.lostTouch();
  beat(FULL);
  beat({ status: ExecutorStatus.STOPPED });
  register();
  conversation.polled(id);
  expect(faults).toEqual([]);
});

test("3.1: polls before it has registered are noticed", () => {
  const { faults, conversation, id } = converse();
  conversation.polled(id);
  expect(faults).toEqual(["3.1: it polls before it has registered"]);
});

test("3.10: polls after STOPPED are noticed", () => {
  const { faults, conversation, id, register, beat } = converse();
  register();
  beat({ status: ExecutorStatus.STOPPED });
  conversation.polled(id);
  expect(faults).toEqual(["3.10: it polls after STOPPED"]);
});

test("3.4: a full state that nobody asked for is noticed, whether it comes once or always", () => {
  const once = converse();
  once.register();
  once.beat({});
  once.beat(FULL);
  expect(once.faults).toEqual(["3.4: a full state that nobody asked for"]);
  const always = converse();
  always.register();
  for (let beats = 0; beats < 2; beats += 1) always.beat(FULL);
  expect(always.faults).toEqual(["3.4: a full state that nobody asked for"]);
});

test("3.4: one that is asked for its state and goes on without is noticed", () => {
  const { faults, heard, answered } = converse();
  for (let beats = 0; beats < 4; beats += 1) {
    heard({}, false);
    answered({}, true);
  }
  expect(faults).toEqual(["3.4: the full state was asked for and does not come"]);
});

test.each([
  ["a changed number", { ...CONTAINER, maxConcurrency: 4 }],
  ["a field left out", { id: "k", maxConcurrency: 3, poolId: "" }],
  ["an empty text made absent", { id: "k", maxConcurrency: 3, function: { functionName: "f" } }],
])("3.2: a container that is not described as it was asked for is noticed: %s", (_, description) => {
  const { faults, send, heard } = converse();
  send(1n, ADD);
  heard(stateOf(description), false);
  expect(faults).toEqual(["3.2: container k is not described as it was asked for"]);
});

test("3.2: an updated container may have other metadata, and nothing else that is other", () => {
  const { faults, send, heard } = converse();
  send(1n, ADD);
  send(2n, { case: "updateContainerDescription", value: { containerId: "k" } });
  heard(stateOf({ ...CONTAINER, sandboxMetadata: { sandboxId: "s" } }), false);
  expect(faults).toEqual([]);
  heard(stateOf({ ...CONTAINER, secretNames: ["s"] }), false);
  expect(faults).toEqual(["3.2: container k is not described as it was asked for"]);
});

test("3.2: a container that nobody asked for is noticed", () => {
  const { faults, heard } = converse();
  heard(stateOf(CONTAINER), false);
  expect(faults).toEqual(["3.2: container k was never asked for"]);
});

test.each([
  ["responses", scheduled(1n), scheduled(2n)],
  ["entries", called(), called({ requestId: "other" })],
  ["outcomes", failed(), FULL],
])("3.5: dropped %s that do not come again are noticed", (kind, dropped, next) => {
  const { faults, heard, answered } = converse();
  heard(dropped, false);
  answered(dropped, true);
  heard({ ...next, ...FULL }, false);
  expect(faults).toEqual([`3.5: ${kind} that were dropped do not come again`]);
});

test("2.2: a number that is not that of the allocation's command is noticed", () => {
  const { faults, send, beat } = converse();
  send(4n, RUN);
  beat(scheduled(3n));
  expect(faults).toEqual(["2.2: 1 was scheduled by command 3, which is not its own"]);
});

test.each([
  ["requestId", failed({ requestId: "x" })],
  ["functionCallId", failed({ functionCallId: "x" })],
  ["namespace", failed({ function: { ...ALLOCATION.function, namespace: "x" } })],
  ["application", failed({ function: { ...ALLOCATION.function, applicationName: "x" } })],
  ["functionName", failed({ function: { ...ALLOCATION.function, functionName: "x" } })],
  ["requestId", called({ requestId: "x" })],
  ["functionCallId", called({ sourceFunctionCallId: "x" })],
  ["namespace", called({ namespace: "x" })],
  ["application", called({ application: "x" })],
])("5.9: an allocation's %s that is not its own is noticed", (field, beat) => {
  const { faults, send, beat: say } = converse();
  send(1n, RUN);
  say(beat);
  expect(faults).toEqual([expect.stringMatching(new RegExp(`^5\\.9: ${field} x of 1, which has `))]);
});
