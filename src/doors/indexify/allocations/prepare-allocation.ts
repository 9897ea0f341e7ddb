import type { MessageInitShape } from "@bufbuild/protobuf";
import type { BlobStore } from "../../../core/index.ts";
import type { FunctionInputsSchema } from "../../../gen/function_executor_pb.js";
import type { AllocationOrder } from "../commands/orders.ts";
import type { AllocationBlobs } from "./allocation-blobs.ts";
import { type BlobMessage, readBlob } from "./blob-shapes.ts";
import { objectOf } from "./convert.ts";

const ARGUMENTS_AT_ONCE = 16;

const REQUEST_ERROR_BLOB = "request_error_blob";
const REQUEST_ERROR_BYTES = 10n * 1_048_576n;

export type Inputs = MessageInitShape<typeof FunctionInputsSchema>;

/** Addresses for everything that the worker reads before it begins, and for the error that it may leave; a place for its outputs that cannot be is refused. */
export async function prepareAllocation(
  order: AllocationOrder,
  blobs: BlobStore,
  writes: AllocationBlobs,
  signal: AbortSignal,
): Promise<Inputs> {
  const errorUri = `${order.errorPrefix}.${order.id}.req_error`;
  // Its outputs are asked for when its function has run: what is wrong with their place is better known before.
  await blobs.checkWrite(`${order.dataPrefix}.${order.id}.output`, signal);
  const [requestErrorBlob, argBlobs] = await Promise.all([
    writes.begin(REQUEST_ERROR_BLOB, errorUri, REQUEST_ERROR_BYTES, signal),
    argumentBlobs(order, blobs, signal),
  ]);
  for (const { size } of order.args) writes.given(size);
  return {
    args: order.args.map(({ payload }) => objectOf(payload)),
    argBlobs: [...argBlobs],
    requestErrorBlob,
    ...(order.callMetadata === undefined ? {} : { functionCallMetadata: order.callMetadata }),
  };
}

/** There may be hundreds: each is computed here, or is a file that is looked at, which on a remote file system takes a while. */
async function argumentBlobs(
  { args }: AllocationOrder,
  blobs: BlobStore,
  signal: AbortSignal,
): Promise<readonly BlobMessage[]> {
  const found: BlobMessage[] = [];
  for (let from = 0; from < args.length; from += ARGUMENTS_AT_ONCE) {
    const some = args.slice(from, from + ARGUMENTS_AT_ONCE);
    const reads = some.map(({ uri, offset, size }, at) =>
      readBlob(blobs, `arg-${from + at}`, uri, offset + size, signal),
    );
    found.push(...(await Promise.all(reads)));
  }
  return found;
}
