import type { MessageInitShape } from "@bufbuild/protobuf";
import type { BlobStore } from "../../../core/index.ts";
import type {
  AllocationRequestStateOperation,
  AllocationRequestStateOperationResultSchema,
  BLOB,
} from "../../../gen/function_executor_pb.js";
import { RPC_CODES } from "../../../std/grpc/rpc-error.ts";
import type { AllocationBlobs } from "./allocation-blobs.ts";
import { readBlob } from "./blob-shapes.ts";
import { textOf } from "./function-calls.ts";

type Answer = MessageInitShape<typeof AllocationRequestStateOperationResultSchema>;

interface AnswerBody {
  readonly status: { readonly code: number; readonly message: string };
  readonly result?: Exclude<Answer["result"], undefined>;
}

const OK = { code: 0, message: "" };

export interface RequestStateOptions {
  readonly blobs: BlobStore;
  readonly writes: AllocationBlobs;
  /** What the URIs of the request's state begin with. */
  readonly prefix: string;
}

/**
 * Carries out one operation on the state of a request. The answer is always of the operation's own kind, also when it fails;
 * that a key is absent and that the store does not answer are two things (`contracts/indexify.md` 5.8).
 */
export async function stateAnswer(
  { operationId, stateKey, operation }: AllocationRequestStateOperation,
  options: RequestStateOptions,
  signal: AbortSignal,
): Promise<Answer> {
  const id = operationId ?? "";
  const uri = `${options.prefix}/state/${encodeKey(stateKey ?? "")}`;
  const answer = (fields: AnswerBody): Answer => ({ operationId: id, ...fields });
  switch (operation.case) {
    case "prepareRead":
      return answer(await prepareRead(id, uri, options, signal));
    case "prepareWrite":
      return answer(await prepareWrite(id, uri, operation.value.size ?? 0n, options, signal));
    case "commitWrite":
      return answer(await commitWrite(operation.value.blob, options, signal));
    case undefined:
      return answer({ status: { code: RPC_CODES.internal, message: "an operation of no known kind" } });
  }
}

async function prepareRead(
  id: string,
  uri: string,
  { blobs, writes }: RequestStateOptions,
  signal: AbortSignal,
): Promise<AnswerBody> {
  const none = { result: { case: "prepareRead" as const, value: {} } };
  try {
    const bytes = await blobs.size(uri, signal);
    if (bytes === undefined) return { status: { code: RPC_CODES.notFound, message: "no such key" }, ...none };
    const blob = await readBlob(blobs, id, uri, bytes, signal);
    writes.given(bytes);
    return { status: OK, result: { case: "prepareRead", value: { blob } } };
  } catch (error) {
    return { status: failure(error), ...none };
  }
}

async function prepareWrite(
  id: string,
  uri: string,
  bytes: bigint,
  { writes }: RequestStateOptions,
  signal: AbortSignal,
): Promise<AnswerBody> {
  try {
    const blob = await writes.begin(id, uri, bytes, signal);
    return { status: OK, result: { case: "prepareWrite", value: { blob } } };
  } catch (error) {
    return { status: failure(error), result: { case: "prepareWrite", value: {} } };
  }
}

async function commitWrite(
  blob: BLOB | undefined,
  { writes }: RequestStateOptions,
  signal: AbortSignal,
): Promise<AnswerBody> {
  const result = { case: "commitWrite" as const, value: {} };
  if (blob === undefined || !writes.has(blob.id)) {
    return { status: { code: RPC_CODES.notFound, message: "nothing was prepared under this id" }, result };
  }
  try {
    await writes.complete(blob, signal);
    return { status: OK, result };
  } catch (error) {
    return { status: failure(error), result };
  }
}

function failure(error: unknown) {
  return { code: RPC_CODES.internal, message: textOf(error) };
}

/** Byte by byte, so that no key reaches beyond its own name. */
export function encodeKey(key: string): string {
  return [...Buffer.from(key)]
    .map((byte) => {
      const letter = String.fromCharCode(byte);
      return /[A-Za-z0-9\-_.~]/.test(letter)
        ? letter
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    })
    .join("");
}
