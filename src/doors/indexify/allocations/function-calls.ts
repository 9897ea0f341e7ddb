import { create, toBinary } from "@bufbuild/protobuf";
import type { AllocationLogEntry, ExecutionPlanUpdate } from "../../../gen/executor_api_pb.js";
import { AllocationLogEntrySchema, FunctionCallRequestSchema } from "../../../gen/executor_api_pb.js";
import type { AllocationFunctionCall } from "../../../gen/function_executor_pb.js";
import { RPC_CODES } from "../../../std/grpc/rpc-error.ts";
import type { AllocationOrder } from "../commands/orders.ts";
import { reportFaults } from "../link/report-faults.ts";
import type { AllocationBlobs } from "./allocation-blobs.ts";
import { argumentsEnd, updatesOf } from "./convert.ts";

const REQUEST_LIMIT_BYTES = 1_048_576;
const OPERATIONS_LIMIT = 1_000;

/** What becomes of a call that user code makes: something to tell the server, or why it cannot be made. */
export type CallReading =
  | { readonly type: "entry"; readonly entry: AllocationLogEntry; readonly bytes: number }
  /** All of it was told before. */
  | { readonly type: "known" }
  | { readonly type: "refused"; readonly code: number; readonly message: string };

/** The calls that one allocation makes, each told once. */
export class FunctionCalls {
  readonly #order: AllocationOrder;
  readonly #blobs: AllocationBlobs;
  readonly #told = new Set<string>();

  constructor(order: AllocationOrder, blobs: AllocationBlobs) {
    this.#order = order;
    this.#blobs = blobs;
  }

  /** Completes its arguments, so that the callee finds them, and turns it into the server's words. */
  async read(call: AllocationFunctionCall, signal: AbortSignal): Promise<CallReading> {
    const { updates, argsBlob } = call;
    if (updates === undefined) return refused("the call has no content");
    if (argsBlob !== undefined) {
      try {
        await this.#blobs.complete(argsBlob, signal, argumentsEnd(updates));
      } catch (error) {
        return refused(`its arguments could not be stored: ${textOf(error)}`);
      }
    }
    const argsUri = this.#blobs.uriOf(argsBlob?.id);
    const request = create(FunctionCallRequestSchema, {
      namespace: this.#order.function.namespace,
      application: this.#order.function.application,
      requestId: this.#order.requestId,
      sourceFunctionCallId: this.#order.functionCallId,
      updates: updatesOf(updates, argsUri),
    });
    const operations = request.updates?.updates ?? [];
    const fresh = operations.filter((operation) => !this.#told.has(idOf(operation)));
    if (request.updates !== undefined) request.updates.updates = fresh;
    if (fresh.length === 0) return { type: "known" };
    const bytes = toBinary(FunctionCallRequestSchema, request).length;
    const excess = excessOf(fresh.length, bytes);
    if (excess !== undefined) return { type: "refused", code: RPC_CODES.resourceExhausted, message: excess };
    const entry = create(AllocationLogEntrySchema, {
      allocationId: this.#order.id,
      entry: { case: "callFunction", value: request },
    });
    // The caller is told: a call that nobody makes would be waited for without end.
    const faults = reportFaults({ type: "entry", message: entry });
    if (faults.length > 0) return refused(`the call lacks ${faults.join(", ")}`);
    for (const operation of fresh) this.#told.add(idOf(operation));
    return { type: "entry", entry, bytes };
  }
}

function excessOf(operations: number, bytes: number): string | undefined {
  if (operations > OPERATIONS_LIMIT)
    return `${operations} operations in one call, at most ${OPERATIONS_LIMIT}`;
  if (bytes > REQUEST_LIMIT_BYTES) return `a call of ${bytes} bytes, at most ${REQUEST_LIMIT_BYTES}`;
  return undefined;
}

function idOf({ op }: ExecutionPlanUpdate): string {
  return op.value?.id ?? "";
}

function refused(message: string): CallReading {
  return { type: "refused", code: RPC_CODES.internal, message };
}

export function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
