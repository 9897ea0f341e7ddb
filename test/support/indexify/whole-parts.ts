import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import type { DataPayloadSchema, FunctionCallRequestSchema } from "../../../src/gen/executor_api_pb.js";
import { DataPayloadEncoding } from "../../../src/gen/executor_api_pb.js";

/** What a message is made of, not one that is made. */
export type Plain<Schema extends DescMessage> = Exclude<
  MessageInitShape<Schema>,
  { readonly $typeName: string }
>;
export type Payload = Plain<typeof DataPayloadSchema>;
export type Call = Plain<typeof FunctionCallRequestSchema>;

// Parts of what an executor sends, with all that section 3.5 of the contract wants: a test takes one thing away.
export const PAYLOAD: Payload = {
  ...{ uri: "file:///blobs/1", size: 0n, encoding: DataPayloadEncoding.RAW },
  sha256Hash: "0a".repeat(32),
};
export const FUNCTION = { namespace: "n", applicationName: "a", functionName: "f" };
export const COMMON = { allocationId: "1", function: FUNCTION, requestId: "r", functionCallId: "c" };
export const CALL: Call = {
  ...{ namespace: "n", application: "a", requestId: "r", sourceFunctionCallId: "c" },
  updates: { updates: [] },
};
