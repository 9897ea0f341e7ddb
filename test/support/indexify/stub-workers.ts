import { create } from "@bufbuild/protobuf";
import type {
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { SandboxEnd } from "../../../src/core/index.ts";
import type { ContainerOrder } from "../../../src/doors/indexify/commands/orders.ts";
import type { WorkerProcess } from "../../../src/doors/indexify/worker/worker.ts";
import type {
  AllocationState,
  CreateAllocationRequest,
  WatchAllocationStateRequest,
} from "../../../src/gen/function_executor_pb.js";
import {
  AllocationOutcomeCode,
  AllocationStateSchema,
  EmptySchema,
  FunctionExecutor,
  HealthCheckResponseSchema,
  InfoResponseSchema,
  InitializationOutcomeCode,
  InitializeResponseSchema,
} from "../../../src/gen/function_executor_pb.js";
import { serviceDefinition } from "./grpc-service.ts";

/**
 * Workers within the test's own process, for tests that want very many: they speak the worker's protocol, return nothing from
 * every allocation, and note who is alive and what was run. They show what the door does, not how a real worker behaves.
 */
export class StubWorkers implements AsyncDisposable {
  /** The containers whose workers are alive, once for each of them. */
  readonly live: string[] = [];
  /** How often each allocation was begun. */
  readonly runs = new Map<string, number>();
  /** What may never be. */
  readonly violations: string[] = [];
  readonly #kills = new Set<() => Promise<void>>();
  readonly #over: UntypedServiceImplementation;

  /** @param over methods of the protocol that answer otherwise. */
  constructor(over: UntypedServiceImplementation = {}) {
    this.#over = over;
  }

  /** As `DeskOptions.launch`. */
  async launch({ id }: ContainerOrder, signal: AbortSignal): Promise<WorkerProcess> {
    signal.throwIfAborted();
    if (this.live.includes(id)) this.violations.push(`two workers of ${id} at once`);
    this.live.push(id);
    const server = new Server();
    server.addService(serviceDefinition(FunctionExecutor), { ...this.#methods(), ...this.#over });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    let tell: (end: SandboxEnd) => void = () => undefined;
    const ended = new Promise<SandboxEnd>((resolve) => {
      tell = resolve;
    });
    const kill = async (): Promise<void> => {
      if (!this.#kills.delete(kill)) return;
      server.forceShutdown();
      this.live.splice(this.live.indexOf(id), 1);
      tell({ type: "signalled", signal: "SIGKILL" });
      await Promise.resolve();
    };
    this.#kills.add(kill);
    return { address: `127.0.0.1:${port}`, isOfImage: false, ended, kill };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const kill of [...this.#kills]) await kill();
  }

  #methods() {
    const answer =
      <T>(message: T) =>
      (_call: unknown, done: sendUnaryData<T>): void =>
        done(null, message);
    return {
      get_info: answer(create(InfoResponseSchema, { version: "0.1.2", sdkVersion: "stub" })),
      initialize: answer(
        create(InitializeResponseSchema, { outcomeCode: InitializationOutcomeCode.SUCCESS }),
      ),
      check_health: answer(create(HealthCheckResponseSchema, { healthy: true })),
      create_allocation: (
        { request }: ServerUnaryCall<CreateAllocationRequest, unknown>,
        done: sendUnaryData<unknown>,
      ): void => {
        const id = request.allocation?.allocationId ?? "";
        this.runs.set(id, (this.runs.get(id) ?? 0) + 1);
        done(null, create(EmptySchema));
      },
      watch_allocation_state: (
        call: ServerWritableStream<WatchAllocationStateRequest, AllocationState>,
      ): void => {
        const result = { outcomeCode: AllocationOutcomeCode.SUCCESS };
        call.write(create(AllocationStateSchema, { result }));
        call.end();
      },
      send_allocation_update: answer(create(EmptySchema)),
      delete_allocation: answer(create(EmptySchema)),
    };
  }
}
