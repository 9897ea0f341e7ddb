import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  Allocation,
  AllocationState,
  AllocationUpdate,
  HealthCheckResponse,
  InfoResponse,
  InitializeRequestSchema,
  InitializeResponse,
} from "../../../gen/function_executor_pb.js";
import {
  type AllocationSchema,
  type AllocationUpdateSchema,
  FunctionExecutor,
} from "../../../gen/function_executor_pb.js";
import { type Channel, openChannel } from "../../../std/grpc/open-channel.ts";
import { isRpcError, RPC_CODES } from "../../../std/grpc/rpc-error.ts";

const INFO_DEADLINE_MS = 10_000;
const HEALTH_DEADLINE_MS = 5_000;
const CREATE_DEADLINE_MS = 30_000;
const UPDATE_DEADLINE_MS = 30_000;
const DELETE_DEADLINE_MS = 2_000;
const CONNECT_DEADLINE_MS = 5_000;

export type { Allocation, AllocationState, AllocationUpdate };

/** One worker's protocol, with the deadline that belongs to each call. Errors are those of `Channel`. */
export class WorkerClient implements Disposable {
  readonly #channel: Channel;

  /** @param address `host:port`. Nothing is connected before the first call. */
  constructor(address: string) {
    this.#channel = openChannel({
      address,
      tls: undefined,
      maxSendBytes: -1,
      maxReceiveBytes: -1,
      keepalive: undefined,
      reconnect: { firstMs: 100, maxMs: 1_000 },
    });
  }

  /** One try. */
  connect(signal: AbortSignal): Promise<void> {
    return this.#channel.ready({ deadlineMs: CONNECT_DEADLINE_MS, signal });
  }

  info(signal: AbortSignal): Promise<InfoResponse> {
    return this.#channel.call(FunctionExecutor.method.get_info, {}, { deadlineMs: INFO_DEADLINE_MS, signal });
  }

  /** @param deadlineMs `undefined` is without end. */
  initialize(
    request: MessageInitShape<typeof InitializeRequestSchema>,
    deadlineMs: number | undefined,
    signal: AbortSignal,
  ): Promise<InitializeResponse> {
    return this.#channel.call(FunctionExecutor.method.initialize, request, { deadlineMs, signal });
  }

  health(signal: AbortSignal): Promise<HealthCheckResponse> {
    const limits = { deadlineMs: HEALTH_DEADLINE_MS, signal };
    return this.#channel.call(FunctionExecutor.method.check_health, {}, limits);
  }

  async create(allocation: MessageInitShape<typeof AllocationSchema>, signal: AbortSignal): Promise<void> {
    const limits = { deadlineMs: CREATE_DEADLINE_MS, signal };
    await this.#channel.call(FunctionExecutor.method.create_allocation, { allocation }, limits);
  }

  watch(allocationId: string, signal: AbortSignal): AsyncIterable<AllocationState> {
    return this.#channel.watch(FunctionExecutor.method.watch_allocation_state, { allocationId }, signal);
  }

  /** An answer that comes too late, to an allocation that is over, is no error. */
  async update(update: MessageInitShape<typeof AllocationUpdateSchema>, signal: AbortSignal): Promise<void> {
    const limits = { deadlineMs: UPDATE_DEADLINE_MS, signal };
    try {
      await this.#channel.call(FunctionExecutor.method.send_allocation_update, update, limits);
    } catch (error) {
      if (!isRpcError(error, RPC_CODES.notFound, RPC_CODES.failedPrecondition)) throw error;
    }
  }

  /** Never throws: a worker that is gone, or still at it, keeps what it has. */
  async forget(allocationId: string): Promise<void> {
    const limits = { deadlineMs: DELETE_DEADLINE_MS, signal: new AbortController().signal };
    try {
      await this.#channel.call(FunctionExecutor.method.delete_allocation, { allocationId }, limits);
    } catch {
      // It says why in its own log.
    }
  }

  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]();
  }
}
