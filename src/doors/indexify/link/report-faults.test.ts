import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Call, Payload } from "../../../../test/support/indexify/whole-parts.ts";
import { CALL, COMMON, FUNCTION, PAYLOAD } from "../../../../test/support/indexify/whole-parts.ts";
import {
  AllocationFailureReason,
  AllocationLogEntrySchema,
  AllocationOutcomeSchema,
  CommandResponseSchema,
  DataPayloadEncoding,
  DataPayloadSchema as PayloadSchema,
} from "../../../gen/executor_api_pb.js";
import { payloadFaults, reportFaults } from "./report-faults.ts";
import type { Report } from "./report-queue.ts";

type Response = NonNullable<MessageInitShape<typeof CommandResponseSchema>["response"]>;
type Outcome = NonNullable<MessageInitShape<typeof AllocationOutcomeSchema>["outcome"]>;

const respond = (response?: Response): Report => ({
  type: "response",
  message: create(CommandResponseSchema, response === undefined ? {} : { response }),
});
const outcome = (content?: Outcome): Report => ({
  type: "outcome",
  message: create(AllocationOutcomeSchema, content === undefined ? {} : { outcome: content }),
});
const completed = (more: object): Report => outcome({ case: "completed", value: { ...COMMON, ...more } });
const failed = (more: object): Report =>
  outcome({ case: "failed", value: { ...COMMON, reason: AllocationFailureReason.OOM, ...more } });
const entry = (more: Call, allocationId = "1"): Report => ({
  type: "entry",
  message: create(AllocationLogEntrySchema, {
    allocationId,
    entry: { case: "callFunction", value: { ...CALL, ...more } },
  }),
});
const payload = (more: Payload) => create(PayloadSchema, { ...PAYLOAD, ...more });
const value = (more: Payload): Report => completed({ returnValue: { case: "value", value: payload(more) } });
const call = (args: readonly object[]): Report =>
  entry({ updates: { updates: [{ op: { case: "functionCall", value: { args: [...args] } } }] } });
const reduce = (collection: readonly object[]): Report =>
  entry({ updates: { updates: [{ op: { case: "reduce", value: { collection: [...collection] } } }] } });
const inline = (more: Payload) => ({ source: { case: "inlineData", value: payload(more) } });
const gone = undefined as never;

test.each<readonly [string, Report]>([
  ["a container that has started", respond({ case: "containerStarted", value: { containerId: "k" } })],
  ["a container that has ended", respond({ case: "containerTerminated", value: { containerId: "k" } })],
  ["a scheduled allocation", respond({ case: "allocationScheduled", value: { allocationId: "1" } })],
  ["a snapshot", respond({ case: "snapshotCompleted", value: { snapshotId: "s", snapshotUri: "u" } })],
  ["a snapshot that failed", respond({ case: "snapshotFailed", value: { snapshotId: "s" } })],
  ["a value of no bytes", value({})],
  ["no value", completed({})],
  ["a tail call", completed({ returnValue: { case: "updates", value: { rootFunctionCallId: "d" } } })],
  ["a failure", failed({})],
  ["a failure with words", failed({ requestError: payload({}) })],
  [
    "a call with both kinds of argument",
    call([inline({}), { source: { case: "functionCallId", value: "d" } }]),
  ],
  ["a reduction", reduce([inline({})])],
])("what is whole goes: %s", (_, report) => {
  expect(reportFaults(report)).toEqual([]);
});

test.each<readonly [readonly string[], Report]>([
  [["response"], respond()],
  [["container_id"], respond({ case: "containerStarted", value: {} })],
  [["container_id"], respond({ case: "containerTerminated", value: {} })],
  [["allocation_id"], respond({ case: "allocationScheduled", value: {} })],
  [["snapshot_id"], respond({ case: "snapshotCompleted", value: { snapshotUri: "u" } })],
  [["snapshot_uri"], respond({ case: "snapshotCompleted", value: { snapshotId: "s" } })],
  [["snapshot_id"], respond({ case: "snapshotFailed", value: {} })],
  [["outcome"], outcome()],
  [["allocation_id"], completed({ allocationId: "" })],
  [["function.namespace", "function.application_name", "function.function_name"], failed({ function: gone })],
  [["function.namespace"], completed({ function: { ...FUNCTION, namespace: "" } })],
  [["function.application_name"], completed({ function: { ...FUNCTION, applicationName: "" } })],
  [["function.function_name"], failed({ function: { ...FUNCTION, functionName: gone } })],
  [["function_call_id"], completed({ functionCallId: gone })],
  [["request_id"], failed({ requestId: "" })],
  [["request_error.size"], failed({ requestError: payload({ size: gone }) })],
  [["value.uri"], value({ uri: "" })],
  [["updates.op"], completed({ returnValue: { case: "updates", value: { updates: [{}] } } })],
  [["allocation_id"], entry({}, "")],
  [["namespace"], entry({ namespace: gone })],
  [["application"], entry({ application: "" })],
  [["request_id"], entry({ requestId: gone })],
  [["source_function_call_id"], entry({ sourceFunctionCallId: "" })],
  [["updates"], entry({ updates: gone })],
  [["updates.op"], entry({ updates: { updates: [{}] } })],
  [["args.source"], call([inline({}), {}])],
  [["args.sha256_hash"], call([inline({ sha256Hash: gone })])],
  [["args.encoding"], reduce([inline({}), inline({ encoding: gone })])],
])("what lacks %j is held back", (faults, report) => {
  expect(reportFaults(report)).toEqual(faults);
});

test("a log entry that is no call is held back", () => {
  const message = create(AllocationLogEntrySchema, {
    allocationId: "1",
    entry: { case: "functionCallResult", value: {} },
  });
  expect(reportFaults({ type: "entry", message })).toEqual(["call_function"]);
});

test("a payload names all that it lacks, by the name it was asked under", () => {
  expect(payloadFaults("x", create(PayloadSchema))).toEqual([
    "x.uri",
    "x.size",
    "x.sha256_hash",
    "x.encoding",
  ]);
  expect(payloadFaults("x", payload({ encoding: DataPayloadEncoding.UNKNOWN }))).toEqual(["x.encoding"]);
});
