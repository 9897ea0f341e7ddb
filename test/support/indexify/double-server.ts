import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type { ServerUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import { Server, ServerCredentials, status } from "@grpc/grpc-js";
import type {
  AllocationLogEntry,
  AllocationOutcome,
  Command,
  CommandResponse,
  DataplaneStateFullSync,
  HeartbeatRequest,
  HeartbeatResponse,
  PollAllocationResultsRequest,
  PollAllocationResultsResponse,
  PollCommandsRequest,
  PollCommandsResponse,
  SequencedAllocationResult,
} from "../../../src/gen/executor_api_pb.js";
import {
  CommandSchema,
  ExecutorAPI,
  ExecutorStatus,
  GPUModel,
  HeartbeatResponseSchema,
  PollAllocationResultsResponseSchema,
  PollCommandsResponseSchema,
  SequencedAllocationResultSchema,
} from "../../../src/gen/executor_api_pb.js";
import { serviceDefinition } from "./grpc-service.ts";

/**
 * A stand-in for an Indexify server (its own program cannot be had here): the executor's side of the protocol as
 * `contracts/indexify.md` section 3 describes it, with every rule that an executor can break checked and noted in
 * `violations`, and ways to misbehave on request. What to run is decided by the test, or by `DoubleScheduler`.
 */
export class DoubleServer implements AsyncDisposable {
  readonly violations: string[] = [];
  readonly executors = new Map<string, DoubleExecutor>();
  /** Every heartbeat, in the order in which it came. */
  readonly heartbeats: HeartbeatRequest[] = [];
  /** Every outcome that it took; those of an executor that it did not know are none. */
  readonly outcomes: AllocationOutcome[] = [];
  readonly misbehaviour: Misbehaviour = { ...GOOD };
  readonly ears: DoubleEars;
  #server: Server | undefined;
  #port = 0;

  constructor(ears: DoubleEars = {}) {
    this.ears = ears;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Listens, on the port of its earlier life if it had one. */
  async start(port = this.#port): Promise<void> {
    const server = new Server({
      "grpc.max_receive_message_length": 32 * 1024 * 1024,
      "grpc.so_reuseport": 0,
    });
    server.addService(serviceDefinition(ExecutorAPI), {
      heartbeat: (call: Unary<HeartbeatRequest>, done: sendUnaryData<HeartbeatResponse>) => {
        this.#answer(done, () => this.#heartbeat(call.request));
      },
      poll_commands: (call: Unary<PollCommandsRequest>, done: sendUnaryData<PollCommandsResponse>) => {
        this.#answer(done, async () => {
          const commands = await this.#pollCommands(call.request, call);
          return create(PollCommandsResponseSchema, { commands: [...commands] });
        });
      },
      poll_allocation_results: (
        call: Unary<PollAllocationResultsRequest>,
        done: sendUnaryData<PollAllocationResultsResponse>,
      ) => {
        this.#answer(done, async () => {
          const results = await this.#pollResults(call.request, call);
          return create(PollAllocationResultsResponseSchema, { results: [...results] });
        });
      },
    });
    this.#port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    this.#server = server;
  }

  /** Goes away at once. @param remembers whether its next life knows its executors and what they owe. */
  stop(remembers: boolean): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
    for (const executor of this.executors.values()) executor.hangUp();
    if (!remembers) this.executors.clear();
  }

  /** Queues a command for an executor that is registered. */
  send(executorId: string, command: MessageInitShape<typeof CommandSchema>["command"]): void {
    this.executor(executorId).send(command);
  }

  /** Brings a child's result to the executor that runs its parent. */
  sendResult(executorId: string, entry: AllocationLogEntry): void {
    this.executor(executorId).sendResult(entry);
  }

  executor(executorId: string): DoubleExecutor {
    const executor = this.executors.get(executorId);
    if (executor === undefined) throw new Error(`the double knows no executor ${executorId}`);
    return executor;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop(false);
    await Promise.resolve();
  }

  #answer<T>(done: sendUnaryData<T>, work: () => Promise<T>): void {
    work().then(
      (answer) => done(null, answer),
      (error: unknown) => {
        const { code, message } =
          error instanceof Refusal ? error : new Refusal(status.INTERNAL, String(error));
        done({ code, details: message });
      },
    );
  }

  async #heartbeat(request: HeartbeatRequest): Promise<HeartbeatResponse> {
    await this.#misbehave();
    this.heartbeats.push(request);
    const { executorId } = request;
    if (executorId === undefined || executorId === "") {
      throw new Refusal(status.INVALID_ARGUMENT, "executor_id is missing");
    }
    if (request.status === ExecutorStatus.STOPPED) {
      this.executors.get(executorId)?.hangUp();
      this.executors.delete(executorId);
      this.ears.onStopped?.(executorId);
      return create(HeartbeatResponseSchema, { sendState: false });
    }
    const known = this.executors.get(executorId);
    if (known === undefined && request.fullState === undefined) {
      return create(HeartbeatResponseSchema, { sendState: true });
    }
    const executor = known ?? new DoubleExecutor(executorId, (text) => this.violations.push(text));
    if (executor.isBeating) this.violations.push("two heartbeats at once");
    executor.isBeating = true;
    try {
      return this.#ingest(executor, request);
    } finally {
      executor.isBeating = false;
    }
  }

  #ingest(executor: DoubleExecutor, request: HeartbeatRequest): HeartbeatResponse {
    if (request.fullState !== undefined) {
      checkFullState(request.fullState);
      this.executors.set(executor.id, executor);
      executor.register(request.fullState);
      this.ears.onRegistered?.(executor.id, request.fullState);
    }
    executor.beatAtMs = Date.now();
    for (const response of request.commandResponses) this.ears.onResponse?.(executor.id, response);
    for (const entry of request.allocationLogEntries) {
      executor.note(entry);
      this.ears.onLogEntry?.(executor.id, entry);
    }
    const poison = this.misbehaviour.chokesOn;
    let choked = 0;
    for (const outcome of request.allocationOutcomes) {
      if (poison !== undefined && outcome.outcome.value?.allocationId === poison) {
        choked += 1;
        continue;
      }
      executor.noteOutcome(outcome);
      this.outcomes.push(outcome);
      this.ears.onOutcome?.(executor.id, outcome);
    }
    if (choked > 0) {
      throw new Refusal(status.INTERNAL, `heartbeat ingestion failed for ${choked} report item(s)`);
    }
    return create(HeartbeatResponseSchema, { sendState: executor.takeRegression() });
  }

  async #pollCommands(request: PollCommandsRequest, call: Unary<unknown>): Promise<readonly Command[]> {
    await this.#misbehave();
    const executor = this.#polling(request.executorId);
    const commands = await executor.commands.poll(
      request.ackedCommandSeq,
      call,
      this.misbehaviour.pollHoldMs,
    );
    return this.#shuffled(commands);
  }

  async #pollResults(
    request: PollAllocationResultsRequest,
    call: Unary<unknown>,
  ): Promise<readonly SequencedAllocationResult[]> {
    await this.#misbehave();
    const executor = this.#polling(request.executorId);
    return await executor.results.poll(request.ackedResultSeq, call, this.misbehaviour.pollHoldMs);
  }

  #polling(executorId: string): DoubleExecutor {
    const executor = this.executors.get(executorId);
    if (executor === undefined) throw new Refusal(status.NOT_FOUND, "executor not registered");
    return executor;
  }

  #shuffled(commands: readonly Command[]): readonly Command[] {
    const { skipsCommand, repeatsCommands } = this.misbehaviour;
    let list = [...commands];
    if (repeatsCommands) list = [...list, ...list];
    if (skipsCommand !== undefined) list = list.filter(({ seq }) => seq !== skipsCommand);
    return list;
  }

  async #misbehave(): Promise<void> {
    const { delayMs, failsShare } = this.misbehaviour;
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    if (Math.random() < failsShare) throw new Refusal(status.UNAVAILABLE, "the double is told to fail");
  }
}

/** What the test, or a scheduler, hears of the executors. */
export interface DoubleEars {
  onRegistered?(executorId: string, state: DataplaneStateFullSync): void;
  onStopped?(executorId: string): void;
  onResponse?(executorId: string, response: CommandResponse): void;
  onLogEntry?(executorId: string, entry: AllocationLogEntry): void;
  onOutcome?(executorId: string, outcome: AllocationOutcome): void;
}

/** What the double does wrong. */
export interface Misbehaviour {
  /** Before every answer. */
  delayMs: number;
  /** Of all calls, 0 to 1, answered UNAVAILABLE. */
  failsShare: number;
  /** How long a poll without news is held. */
  pollHoldMs: number;
  /** The outcome of this allocation makes a heartbeat fail, for ever. */
  chokesOn: string | undefined;
  /** This command's number is never delivered. */
  skipsCommand: bigint | undefined;
  /** Every command comes twice in one answer. */
  repeatsCommands: boolean;
}

const GOOD: Misbehaviour = {
  delayMs: 0,
  failsShare: 0,
  pollHoldMs: 5_000,
  chokesOn: undefined,
  skipsCommand: undefined,
  repeatsCommands: false,
};

const CANCEL_GRACE_MS = 100;

type Unary<T> = ServerUnaryCall<T, unknown>;

class Refusal extends Error {
  readonly code: status;

  constructor(code: status, message: string) {
    super(message);
    this.code = code;
  }
}

/** One executor as its server sees it. */
export class DoubleExecutor {
  readonly id: string;
  readonly commands: Outbox<Command>;
  readonly results: Outbox<SequencedAllocationResult>;
  state: DataplaneStateFullSync | undefined;
  /** How often it has sent its full state. */
  registrations = 0;
  /** The outcomes of each allocation, in the order in which they came. */
  readonly outcomes = new Map<string, AllocationOutcome[]>();
  readonly entries: AllocationLogEntry[] = [];
  isBeating = false;
  beatAtMs = 0;
  readonly #complain: (text: string) => void;

  constructor(id: string, complain: (text: string) => void) {
    this.id = id;
    this.#complain = complain;
    this.commands = new Outbox("commands", complain);
    this.results = new Outbox("results", complain);
  }

  register(state: DataplaneStateFullSync): void {
    this.state = state;
    this.registrations += 1;
    this.commands.restart();
    this.results.restart();
  }

  send(command: MessageInitShape<typeof CommandSchema>["command"]): void {
    this.commands.add((seq) => create(CommandSchema, { seq, ...(command === undefined ? {} : { command }) }));
  }

  sendResult(entry: AllocationLogEntry): void {
    this.results.add((seq) => create(SequencedAllocationResultSchema, { seq, entry }));
  }

  note(entry: AllocationLogEntry): void {
    if (this.outcomes.has(entry.allocationId)) {
      this.#complain(`a log entry of ${entry.allocationId} came after its outcome`);
    }
    this.entries.push(entry);
  }

  noteOutcome(outcome: AllocationOutcome): void {
    const { value } = outcome.outcome;
    if (value === undefined) {
      this.#complain("an outcome without content");
      return;
    }
    const list = this.outcomes.get(value.allocationId) ?? [];
    list.push(outcome);
    this.outcomes.set(value.allocationId, list);
  }

  /** Whether it once acknowledged more than it does now; asked for once. */
  takeRegression(): boolean {
    return this.commands.takeRegression();
  }

  hangUp(): void {
    this.commands.release();
    this.results.release();
  }
}

/** A numbered stream to one executor: items are sent again until they are acknowledged. */
class Outbox<T extends { readonly seq: bigint }> {
  readonly #name: string;
  readonly #complain: (text: string) => void;
  #items: T[] = [];
  #last = 0n;
  #acked = 0n;
  #regressed = false;
  #wake: (() => void) | undefined;
  #open: Unary<unknown> | undefined;

  constructor(name: string, complain: (text: string) => void) {
    this.#name = name;
    this.#complain = complain;
  }

  add(make: (seq: bigint) => T): void {
    this.#last += 1n;
    this.#items.push(make(this.#last));
    this.release();
  }

  /** Its executor has registered anew: what it asked before is over, and it should have hung up on it. */
  restart(): void {
    const open = this.#open;
    if (open !== undefined) {
      // The end of a call and the next call may arrive in one packet, and are told of in either order.
      setTimeout(() => {
        if (!open.cancelled) this.#complain(`${this.#name}: a full state came while a poll was open`);
      }, CANCEL_GRACE_MS);
    }
    this.#items = [];
    this.#last = 0n;
    this.#acked = 0n;
    this.#regressed = false;
    this.release();
  }

  takeRegression(): boolean {
    const regressed = this.#regressed;
    this.#regressed = false;
    return regressed;
  }

  async poll(acked: bigint | undefined, call: Unary<unknown>, holdMs: number): Promise<readonly T[]> {
    if (acked === 0n) this.#complain(`${this.#name}: an acknowledgement of 0 is to be left out`);
    const ack = acked ?? 0n;
    if (ack > this.#last) this.#complain(`${this.#name}: ${ack} acknowledged, ${this.#last} sent`);
    if (ack < this.#acked) this.#regressed = true;
    this.#acked = ack;
    this.#items = this.#items.filter(({ seq }) => seq > ack);
    if (this.#items.length === 0) await this.#hold(call, holdMs);
    return [...this.#items];
  }

  release(): void {
    this.#wake?.();
  }

  #hold(call: Unary<unknown>, holdMs: number): Promise<void> {
    // A poll that takes another's place ends that one.
    this.release();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        if (this.#wake === done) {
          this.#wake = undefined;
          this.#open = undefined;
        }
        resolve();
      };
      const timer = setTimeout(done, holdMs);
      this.#wake = done;
      this.#open = call;
      call.on("cancelled", done);
    });
  }
}

/** What makes a real server refuse a registration. */
function checkFullState(state: DataplaneStateFullSync): void {
  for (const resources of [state.totalContainerResources, state.totalResources]) {
    if (resources === undefined) continue;
    const { cpuCount, memoryBytes, diskBytes, gpu } = resources;
    if (cpuCount === undefined || memoryBytes === undefined || diskBytes === undefined) {
      throw new Refusal(status.INTERNAL, "host resources are not whole");
    }
    if (gpu !== undefined && ((gpu.count ?? 0) === 0 || !isKnownModel(gpu.model))) {
      throw new Refusal(status.INTERNAL, "a gpu without count or model");
    }
  }
}

function isKnownModel(model: GPUModel | undefined): boolean {
  return model !== undefined && model !== GPUModel.GPU_MODEL_UNKNOWN;
}
