import type { MessageInitShape } from "@bufbuild/protobuf";
import type { BlobStore } from "../../../core/index.ts";
import type { DataPayload, FunctionCallResult } from "../../../gen/executor_api_pb.js";
import { AllocationOutcomeCode as ServerCode } from "../../../gen/executor_api_pb.js";
import {
  type AllocationFunctionCallResultSchema,
  AllocationOutcomeCode as WorkerCode,
} from "../../../gen/function_executor_pb.js";
import { readBlob } from "./blob-shapes.ts";
import { objectOf } from "./convert.ts";
import type { OpenWatcher } from "./result-book.ts";

type Delivery = MessageInitShape<typeof AllocationFunctionCallResultSchema>;

const BLOB_ID = "fc-result";

/**
 * A child's result as its parent's worker takes it. What cannot be handed over is a failed call, never half an answer.
 *
 * @param onFault told why that is so; the parent's code is not.
 */
export async function deliveryOf(
  watcher: OpenWatcher,
  result: FunctionCallResult,
  { blobs, onFault }: { readonly blobs: BlobStore; onFault(error: unknown): void },
  signal: AbortSignal,
): Promise<Delivery> {
  const ids = { functionCallId: watcher.functionCallId, watcherId: watcher.id };
  const failed = { ...ids, outcomeCode: WorkerCode.FAILURE };
  try {
    if (result.outcomeCode !== ServerCode.SUCCESS) {
      if (result.requestError === undefined) return failed;
      const { object, blob } = await handOver(result.requestError, blobs, signal);
      return { ...failed, requestErrorOutput: object, requestErrorBlob: blob };
    }
    if (result.returnValue === undefined) return { ...ids, outcomeCode: WorkerCode.SUCCESS };
    const { object, blob } = await handOver(result.returnValue, blobs, signal);
    return { ...ids, outcomeCode: WorkerCode.SUCCESS, valueOutput: object, valueBlob: blob };
  } catch (error) {
    if (signal.aborted) throw error;
    onFault(error);
    return failed;
  }
}

async function handOver(payload: DataPayload, blobs: BlobStore, signal: AbortSignal) {
  const bytes = (payload.offset ?? 0n) + (payload.size ?? 0n);
  const blob = await readBlob(blobs, BLOB_ID, payload.uri ?? "", bytes, signal);
  return { object: objectOf(payload), blob };
}
