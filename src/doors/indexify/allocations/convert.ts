import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  DataPayload,
  DataPayloadSchema,
  ExecutionPlanUpdateSchema,
  ExecutionPlanUpdatesSchema,
  FunctionArgSchema,
} from "../../../gen/executor_api_pb.js";
import { DataPayloadEncoding } from "../../../gen/executor_api_pb.js";
import type * as worker from "../../../gen/function_executor_pb.js";
import { SerializedObjectEncoding } from "../../../gen/function_executor_pb.js";

type PayloadMessage = MessageInitShape<typeof DataPayloadSchema>;
type ObjectMessage = MessageInitShape<typeof worker.SerializedObjectInsideBLOBSchema>;

/** What is absent stays absent: an empty text in its place would mean something else. */
function present<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** A payload of the server as its worker reads it; the bytes are in the blob that goes with it. */
export function objectOf(payload: DataPayload): ObjectMessage {
  const { encoding, encodingVersion, size, metadataSize, sha256Hash, contentType, sourceFunctionCallId } =
    payload;
  return {
    manifest: present({
      encoding: workerEncoding(encoding),
      // The worker refuses an object without these three.
      encodingVersion: encodingVersion ?? 0n,
      metadataSize: metadataSize ?? 0n,
      size,
      sha256Hash,
      contentType,
      sourceFunctionCallId,
    }),
    offset: payload.offset ?? 0n,
  };
}

/** A worker's object as the server reads it. @param uri the blob's own, never a part's. */
export function payloadOf(object: worker.SerializedObjectInsideBLOB, uri: string): PayloadMessage {
  const { encoding, encodingVersion, size, metadataSize, sha256Hash, contentType, sourceFunctionCallId } =
    object.manifest ?? {};
  return present({
    uri,
    encoding: serverEncoding(encoding),
    encodingVersion,
    size,
    metadataSize,
    sha256Hash,
    contentType,
    sourceFunctionCallId,
    offset: object.offset ?? 0n,
  });
}

/** Where a worker's object ends in its blob. */
export function endOf({ manifest, offset = 0n }: worker.SerializedObjectInsideBLOB): bigint {
  return offset + (manifest?.size ?? 0n);
}

/** Where the last of a plan's inline arguments ends in the blob that holds them. */
export function argumentsEnd({ updates }: worker.ExecutionPlanUpdates): bigint {
  const args = updates.flatMap(({ op }) => {
    if (op.case === "functionCall") return op.value.args;
    return op.case === "reduce" ? op.value.collection : [];
  });
  return args.reduce((end, { source }) => {
    const its = source.case === "value" ? endOf(source.value) : 0n;
    return its > end ? its : end;
  }, 0n);
}

/**
 * A worker's plan as the server reads it. @param argsUri of the blob that holds its inline arguments; `undefined` if it has none.
 */
export function updatesOf(
  updates: worker.ExecutionPlanUpdates,
  argsUri: string | undefined,
): MessageInitShape<typeof ExecutionPlanUpdatesSchema> {
  return present({
    updates: updates.updates.map((update) => updateOf(update, argsUri)),
    rootFunctionCallId: updates.rootFunctionCallId,
    startAt: updates.startAt,
  });
}

function updateOf(
  { op }: worker.ExecutionPlanUpdate,
  argsUri: string | undefined,
): MessageInitShape<typeof ExecutionPlanUpdateSchema> {
  if (op.case === "functionCall") {
    const { id, target, callMetadata } = op.value;
    const args = op.value.args.map((arg) => argOf(arg, argsUri));
    return {
      op: { case: "functionCall", value: present({ id, target: refOf(target), callMetadata, args }) },
    };
  }
  if (op.case === "reduce") {
    const { id, reducer, callMetadata } = op.value;
    const collection = op.value.collection.map((arg) => argOf(arg, argsUri));
    return {
      op: { case: "reduce", value: present({ id, reducer: refOf(reducer), callMetadata, collection }) },
    };
  }
  return {};
}

function argOf(
  { source }: worker.FunctionArg,
  argsUri: string | undefined,
): MessageInitShape<typeof FunctionArgSchema> {
  if (source.case === "functionCallId") return { source: { case: "functionCallId", value: source.value } };
  if (source.case === "value") {
    return { source: { case: "inlineData", value: payloadOf(source.value, argsUri ?? "") } };
  }
  return {};
}

/** The two protocols name the same message; a field at a time, since each has a type name of its own. */
function refOf(ref: worker.FunctionRef | undefined) {
  if (ref === undefined) return undefined;
  const { namespace, applicationName, functionName, applicationVersion } = ref;
  return present({ namespace, applicationName, functionName, applicationVersion });
}

/** The numbers are the same on both sides (`contracts/indexify.md` 2.6). */
const ENCODINGS: readonly (readonly [DataPayloadEncoding, SerializedObjectEncoding])[] = [
  [DataPayloadEncoding.UTF8_JSON, SerializedObjectEncoding.UTF8_JSON],
  [DataPayloadEncoding.UTF8_TEXT, SerializedObjectEncoding.UTF8_TEXT],
  [DataPayloadEncoding.BINARY_PICKLE, SerializedObjectEncoding.BINARY_PICKLE],
  [DataPayloadEncoding.BINARY_ZIP, SerializedObjectEncoding.BINARY_ZIP],
  [DataPayloadEncoding.RAW, SerializedObjectEncoding.RAW],
];

export function workerEncoding(
  encoding: DataPayloadEncoding | undefined,
): SerializedObjectEncoding | undefined {
  return ENCODINGS.find(([server]) => server === encoding)?.[1];
}

function serverEncoding(encoding: SerializedObjectEncoding | undefined): DataPayloadEncoding | undefined {
  return ENCODINGS.find(([, its]) => its === encoding)?.[0];
}
