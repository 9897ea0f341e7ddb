import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type {
  AllocationCompleted,
  AllocationFailed,
  AllocationLogEntry,
  AllocationOutcome,
  CommandResponse,
  CommandSchema,
  DataPayload,
  DataplaneStateFullSync,
  ExecutionPlanUpdates,
  FunctionArg,
  FunctionCall,
  FunctionCallResult,
  ReduceOp,
} from "../../../src/gen/executor_api_pb.js";
import {
  AllocationLogEntrySchema,
  AllocationOutcomeCode,
  ContainerTerminationReason,
  ContainerType,
  DataPayloadEncoding,
  DataPayloadSchema,
  FunctionCallResultSchema,
  FunctionCallSchema,
} from "../../../src/gen/executor_api_pb.js";
import { DoubleServer } from "./double-server.ts";

/** How one request of the double's user ended. */
export type RequestEnd =
  | {
      readonly type: "value";
      readonly payload: DataPayload | undefined;
      readonly completed: AllocationCompleted;
    }
  | { readonly type: "failed"; readonly failed: AllocationFailed };

export interface Application {
  readonly zipPath: string;
  readonly blobFolder: string;
  /** What URIs of blobs begin with; the folder's own without one. */
  readonly blobPrefix?: string;
  /** Where the ZIP was put; its own path without one. */
  readonly codeUri?: string;
  readonly allocationTimeoutMs?: number;
  readonly initializationTimeoutMs?: number;
  readonly maxConcurrency?: number;
  readonly memoryBytes?: bigint;
  /** Of single functions, by name. */
  readonly memoryBytesOf?: Readonly<Record<string, bigint>>;
  readonly cpuMsPerSec?: number;
  readonly version?: string;
}

type SentCommand = NonNullable<MessageInitShape<typeof CommandSchema>["command"]>;

interface CallInFlight {
  readonly id: string;
  /** The allocation that made it, and where that runs; `undefined` for what the user asked. */
  readonly parent: { readonly executorId: string; readonly allocationId: string } | undefined;
  result: FunctionCallResult | undefined;
  /** Another call's result is this one's: a tail call. */
  resultOf: string | undefined;
}

/**
 * A small scheduler over `DoubleServer`: one container for each function, on the one executor there is, children scheduled when
 * their arguments are there, reductions folded from the left, results brought to whoever runs the parent. Whoever registers,
 * for the first time or again, is told everything that it should have and do (`contracts/indexify.md` 3.3).
 */
export class DoubleScheduler {
  readonly server: DoubleServer;
  /** Ends of containers, in the order in which they were told. */
  readonly terminated: { readonly containerId: string; readonly reason: number }[] = [];
  readonly started: string[] = [];
  #application: Application;
  readonly #containers = new Map<string, { readonly id: string; readonly asked: Promise<string> }>();
  /** What was asked and has not ended, by the id of its container or allocation. */
  readonly #wanted = {
    containers: new Map<string, SentCommand>(),
    allocations: new Map<string, SentCommand>(),
  };
  readonly #calls = new Map<string, CallInFlight>();
  readonly #allocations = new Map<string, { readonly callId: string; readonly requestId: string }>();
  readonly #waiting: { readonly ready: () => boolean; readonly go: () => void }[] = [];
  readonly #ends = new Map<string, (end: RequestEnd) => void>();
  readonly #executorIds = new Set<string>();
  #count = 0;

  constructor(application: Application) {
    this.#application = application;
    this.server = new DoubleServer({
      onRegistered: (executorId, state) => this.#registered(executorId, state),
      onResponse: (executorId, response) => this.#response(executorId, response),
      onLogEntry: (executorId, entry) => this.#entry(executorId, entry),
      onOutcome: (executorId, outcome) => this.#outcome(executorId, outcome),
    });
  }

  get executorId(): string {
    const [id] = this.server.executors.keys();
    if (id === undefined) throw new Error("no executor has registered");
    return id;
  }

  /** The containers that are wanted and have started. */
  get running(): readonly string[] {
    return [...this.#wanted.containers.keys()].filter((id) => this.started.includes(id));
  }

  /** All that have ever registered. */
  get executorIds(): readonly string[] {
    return [...this.#executorIds];
  }

  /** A container for a function, there or made now. */
  container(name: string): Promise<string> {
    const known = this.#containers.get(name);
    if (known !== undefined && !this.terminated.some(({ containerId }) => containerId === known.id))
      return known.asked;
    const id = this.#fresh(`container-${name}`);
    // Whoever comes meanwhile waits as well: no allocation goes before its container.
    const asked = this.addContainer(id, name).then(() => id);
    this.#containers.set(name, { id, asked });
    return asked;
  }

  /** The user has deployed it anew: containers of another version are never those of this one. */
  deploy(change: Partial<Application>): void {
    this.#application = { ...this.#application, ...change };
    this.#containers.clear();
  }

  /** Takes a container away. */
  removeContainer(containerId: string): void {
    this.#wanted.containers.delete(containerId);
    for (const [name, { id }] of this.#containers) if (id === containerId) this.#containers.delete(name);
    for (const executorId of this.server.executors.keys())
      this.server.send(executorId, { case: "removeContainer", value: { containerId } });
  }

  /** Asks for a container by a name of the test's own. */
  async addContainer(id: string, name: string): Promise<void> {
    const { zipPath, codeUri, initializationTimeoutMs, allocationTimeoutMs, maxConcurrency, ...size } =
      this.#application;
    const code = await readFile(zipPath);
    this.#want("containers", id, {
      case: "addContainer",
      value: {
        container: {
          id,
          function: this.#ref(name),
          initializationTimeoutMs: initializationTimeoutMs ?? 60_000,
          allocationTimeoutMs: allocationTimeoutMs ?? 60_000,
          maxConcurrency: maxConcurrency ?? 1,
          containerType: ContainerType.FUNCTION,
          resources: {
            cpuMsPerSec: size.cpuMsPerSec ?? 500,
            memoryBytes: size.memoryBytesOf?.[name] ?? size.memoryBytes ?? 512n * 1024n * 1024n,
            diskBytes: 1n << 30n,
          },
          application: {
            uri: codeUri ?? `file://${zipPath}`,
            encoding: DataPayloadEncoding.BINARY_ZIP,
            encodingVersion: 0n,
            offset: 0n,
            size: BigInt(code.length),
            metadataSize: 0n,
            sha256Hash: createHash("sha256").update(code).digest("hex"),
            contentType: "application/zip",
          },
        },
      },
    });
  }

  /** What a user's request to an application function comes to. @param input a payload, or JSON to be stored as one. */
  async request(name: string, input: DataPayload): Promise<RequestEnd> {
    const containerId = await this.container(name);
    const requestId = this.#fresh("request");
    const callId = this.#fresh("call");
    this.#calls.set(callId, { id: callId, parent: undefined, result: undefined, resultOf: undefined });
    return await new Promise((resolve) => {
      this.#ends.set(callId, resolve);
      this.#allocate(containerId, name, callId, requestId, [input], new Uint8Array());
    });
  }

  #allocate(
    containerId: string,
    name: string,
    callId: string,
    requestId: string,
    args: readonly DataPayload[],
    metadata: Uint8Array,
  ): void {
    const allocationId = this.#fresh("allocation");
    this.#allocations.set(allocationId, { callId, requestId });
    const { applicationVersion: _, ...ref } = this.#ref(name);
    const { blobFolder, blobPrefix = `file://${blobFolder}` } = this.#application;
    const prefix = `${blobPrefix}/default/tests/${requestId}`;
    this.#want("allocations", allocationId, {
      case: "runAllocation",
      value: {
        allocation: {
          allocationId,
          containerId,
          functionCallId: callId,
          requestId,
          function: ref,
          args: [...args],
          requestDataPayloadUriPrefix: prefix,
          requestErrorPayloadUriPrefix: prefix,
          functionCallMetadata: metadata,
        },
      },
    });
  }

  /** Asks now, or, while nobody is registered, whoever registers next. */
  #want(what: "containers" | "allocations", id: string, command: SentCommand): void {
    this.#wanted[what].set(id, command);
    for (const executorId of this.server.executors.keys()) this.server.send(executorId, command);
  }

  #registered(executorId: string, { containerStates }: DataplaneStateFullSync): void {
    this.#executorIds.add(executorId);
    const { containers, allocations } = this.#wanted;
    for (const { description } of containerStates) {
      const containerId = description?.id ?? "";
      if (containers.has(containerId)) continue;
      this.server.send(executorId, { case: "removeContainer", value: { containerId } });
    }
    for (const command of [...containers.values(), ...allocations.values()])
      this.server.send(executorId, command);
  }

  #response(executorId: string, { response }: CommandResponse): void {
    if (response.case === "containerStarted") this.started.push(response.value.containerId);
    if (response.case === "containerTerminated") {
      const { containerId, reason } = response.value;
      this.terminated.push({ containerId, reason });
      // One that was taken away may have been asked for again meanwhile.
      if (reason === ContainerTerminationReason.FUNCTION_CANCELLED) return;
      this.#wanted.containers.delete(containerId);
      this.server.send(executorId, { case: "removeContainer", value: { containerId } });
    }
  }

  #entry(executorId: string, { allocationId, entry }: AllocationLogEntry): void {
    if (entry.case !== "callFunction") return;
    const { requestId, updates } = entry.value;
    if (updates !== undefined) this.#spawn(executorId, allocationId, requestId ?? "", updates);
  }

  #spawn(
    executorId: string,
    allocationId: string,
    requestId: string,
    { updates }: ExecutionPlanUpdates,
  ): void {
    const parent = { executorId, allocationId };
    for (const { op } of updates) {
      if (op.case === "functionCall") this.#call(op.value, requestId, parent);
      if (op.case === "reduce") this.#reduce(op.value, requestId, parent);
    }
  }

  #call(call: FunctionCall, requestId: string, parent: CallInFlight["parent"]): void {
    const id = call.id ?? "";
    if (this.#calls.has(id)) return;
    this.#calls.set(id, { id, parent, result: undefined, resultOf: undefined });
    this.#when(
      () => call.args.every((arg) => this.#payload(arg) !== undefined),
      () => {
        const name = call.target?.functionName ?? "";
        const args = call.args.map((arg) => this.#payload(arg)!);
        this.container(name).then(
          (containerId) =>
            this.#allocate(containerId, name, id, requestId, args, call.callMetadata ?? new Uint8Array()),
          () => undefined,
        );
      },
    );
  }

  /** From the left, one call after the other; the last one's result is the reduction's. */
  #reduce(reduce: ReduceOp, requestId: string, parent: CallInFlight["parent"]): void {
    const id = reduce.id ?? "";
    if (this.#calls.has(id)) return;
    this.#calls.set(id, { id, parent, result: undefined, resultOf: undefined });
    const [first, ...rest] = reduce.collection;
    let left: FunctionArg | undefined = first;
    rest.forEach((right, index) => {
      const isLast = index === rest.length - 1;
      const stepId = isLast ? `${id}-last` : this.#fresh(id);
      const step = create(FunctionCallSchema, {
        id: stepId,
        args: [left!, right],
        ...(reduce.reducer === undefined ? {} : { target: reduce.reducer }),
        ...(reduce.callMetadata === undefined ? {} : { callMetadata: reduce.callMetadata }),
      });
      this.#call(step, requestId, undefined);
      if (isLast) this.#calls.get(id)!.resultOf = stepId;
      left = { source: { case: "functionCallId", value: stepId } } as FunctionArg;
    });
    this.#pump();
  }

  #outcome(executorId: string, { outcome }: AllocationOutcome): void {
    this.#wanted.allocations.delete(outcome.value?.allocationId ?? "");
    const allocation = this.#allocations.get(outcome.value?.allocationId ?? "");
    if (allocation === undefined) return;
    this.#allocations.delete(outcome.value?.allocationId ?? "");
    const call = this.#calls.get(allocation.callId)!;
    if (outcome.case === "failed") {
      const { requestError } = outcome.value;
      this.#ends.get(call.id)?.({ type: "failed", failed: outcome.value });
      call.result = create(FunctionCallResultSchema, {
        functionCallId: call.id,
        outcomeCode: AllocationOutcomeCode.FAILURE,
        ...(requestError === undefined ? {} : { requestError }),
      });
    } else if (outcome.case === "completed") {
      const { returnValue, requestId } = outcome.value;
      if (returnValue.case === "updates") {
        this.#spawn(executorId, outcome.value.allocationId, requestId ?? "", returnValue.value);
        call.resultOf = returnValue.value.rootFunctionCallId;
        this.#when(
          () => this.#result(call.id) !== undefined,
          () => this.#finish(call, outcome.value),
        );
        this.#pump();
        return;
      }
      call.result = create(FunctionCallResultSchema, {
        functionCallId: call.id,
        outcomeCode: AllocationOutcomeCode.SUCCESS,
        ...(returnValue.case === "value" ? { returnValue: returnValue.value } : {}),
      });
      this.#finish(call, outcome.value);
    }
    this.#deliver();
    this.#pump();
  }

  #finish(call: CallInFlight, completed: AllocationCompleted): void {
    const payload = this.#result(call.id)?.returnValue;
    this.#ends.get(call.id)?.({ type: "value", payload, completed });
  }

  /** Brings every result that is there to who made the call, once. */
  #deliver(): void {
    for (const call of this.#calls.values()) {
      const result = this.#result(call.id);
      if (call.parent === undefined || result === undefined) continue;
      const { executorId, allocationId } = call.parent;
      (call as { parent: undefined }).parent = undefined;
      this.server.sendResult(
        executorId,
        create(AllocationLogEntrySchema, {
          allocationId,
          entry: { case: "functionCallResult", value: { ...result, functionCallId: call.id } },
        }),
      );
    }
  }

  #result(callId: string): FunctionCallResult | undefined {
    const call = this.#calls.get(callId);
    return call?.result ?? (call?.resultOf === undefined ? undefined : this.#result(call.resultOf));
  }

  #payload({ source }: FunctionArg): DataPayload | undefined {
    if (source.case === "inlineData") return source.value;
    const value = source.case === "functionCallId" ? this.#result(source.value)?.returnValue : undefined;
    // Its reader finds the argument by the call that it came from.
    return value === undefined
      ? undefined
      : create(DataPayloadSchema, { ...value, sourceFunctionCallId: source.value as string });
  }

  #when(ready: () => boolean, go: () => void): void {
    this.#waiting.push({ ready, go });
    this.#pump();
  }

  #pump(): void {
    for (const waiting of [...this.#waiting]) {
      if (!waiting.ready()) continue;
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      waiting.go();
    }
    this.#deliver();
  }

  #ref(name: string) {
    const { version: applicationVersion = "v1" } = this.#application;
    return { namespace: "default", applicationName: "tests", functionName: name, applicationVersion };
  }

  #fresh(what: string): string {
    this.#count += 1;
    return `${what}-${this.#count}`;
  }
}

/** A user's input as the server stores it. */
export function storedJson(uri: string, json: string): DataPayload {
  return stored(uri, json, "application/json", DataPayloadEncoding.UTF8_JSON);
}

/** A file that a user has sent. */
export function storedFile(uri: string, content: Uint8Array): DataPayload {
  return stored(uri, content, "application/octet-stream", DataPayloadEncoding.RAW);
}

function stored(
  uri: string,
  content: string | Uint8Array,
  contentType: string,
  encoding: DataPayloadEncoding,
): DataPayload {
  return create(DataPayloadSchema, {
    uri,
    encoding,
    encodingVersion: 0n,
    offset: 0n,
    metadataSize: 0n,
    size: BigInt(Buffer.byteLength(content)),
    sha256Hash: createHash("sha256").update(content).digest("hex"),
    contentType,
  });
}
