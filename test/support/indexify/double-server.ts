import type { MessageInitShape } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
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
  AllocationLogEntrySchema,
  CommandSchema,
  ExecutorAPI,
  ExecutorStatus,
  HeartbeatResponseSchema,
  PollAllocationResultsResponseSchema,
  PollCommandsResponseSchema,
  SequencedAllocationResultSchema,
} from "../../../src/gen/executor_api_pb.js";
import type { Random } from "../random.ts";
import { Conversation } from "./conversation.ts";
import { serviceDefinition } from "./grpc-service.ts";
import { heartbeatFaults, hostFaults } from "./rules.ts";

/**
 * A stand-in for an Indexify server (its own program cannot be had here): the executor's side of the protocol as
 * `contracts/indexify.md` section 3 describes it, with every rule that an executor can break checked and noted in
 * `violations`, and ways to misbehave on request. What to run is decided by the test, or by `DoubleScheduler`.
 *
 * What one heartbeat can break by itself is in `rules.ts`, what needs the past in `conversation.ts`; numbers,
 * acknowledgements and what is open at once are looked at here.
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
  /** The executors that were silent for too long and are not known any more (3.8). */
  readonly lapsed: string[] = [];
  readonly #conversation = new Conversation((text) => this.violations.push(text));
  readonly #lapseMs: number;
  readonly #beating = new Map<string, Beating>();
  #server: Server | undefined;
  #watch: NodeJS.Timeout | undefined;
  #port = 0;

  /** @param lapseMs without a heartbeat or the begin of a poll, and an executor is forgotten. */
  constructor(ears: DoubleEars = {}, lapseMs = LAPSE_MS) {
    this.ears = ears;
    this.#lapseMs = lapseMs;
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
        this.#answer(done, () => this.#oneAtATime(call));
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
    for (const executor of this.executors.values()) executor.seen();
    this.#watchForSilence();
  }

  /** Goes away at once. @param remembers whether its next life knows its executors and what they owe. */
  stop(remembers: boolean): void {
    clearTimeout(this.#watch);
    this.#server?.forceShutdown();
    this.#server = undefined;
    this.#beating.clear();
    this.#conversation.lostTouch();
    for (const executor of this.executors.values()) executor.hangUp();
    if (!remembers) this.executors.clear();
  }

  /** Forgets one executor, as after it has been silent for too long. */
  forget(executorId: string): void {
    this.executors.get(executorId)?.hangUp();
    this.executors.delete(executorId);
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

  #watchForSilence(): void {
    this.#watch = setTimeout(() => {
      this.#lapse();
      this.#watchForSilence();
    }, this.#lapseMs / 4);
  }

  /** Those that say nothing for too long; what has arrived and waits for its turn is heard first. */
  #lapse(): void {
    setImmediate(() => {
      for (const executor of this.executors.values()) {
        if (performance.now() - executor.seenAtMs <= this.#lapseMs) continue;
        this.lapsed.push(executor.id);
        this.forget(executor.id);
      }
    });
  }

  async #oneAtATime(call: Unary<HeartbeatRequest>): Promise<HeartbeatResponse> {
    const { executorId = "" } = call.request;
    const other = this.#beating.get(executorId);
    if (other !== undefined) {
      other.isLookedAt = new Promise((resolve) => {
        unlessGivenUp(other.call, () => this.violations.push("3.4: two heartbeats at once"), resolve);
      });
    }
    const own: Beating = { call, isLookedAt: undefined };
    this.#beating.set(executorId, own);
    try {
      return await this.#heartbeat(call.request);
    } finally {
      await own.isLookedAt;
      if (this.#beating.get(executorId) === own) this.#beating.delete(executorId);
    }
  }

  async #heartbeat(request: HeartbeatRequest): Promise<HeartbeatResponse> {
    await this.#misbehave();
    this.heartbeats.push(request);
    this.violations.push(...heartbeatFaults(request));
    const { executorId } = request;
    if (request.fullState !== undefined && this.misbehaviour.failsFullStates > 0) {
      this.misbehaviour.failsFullStates -= 1;
      throw new Refusal(status.UNAVAILABLE, "the double is told to fail");
    }
    if (executorId === undefined || executorId === "") {
      throw new Refusal(status.INVALID_ARGUMENT, "executor_id is missing");
    }
    this.#conversation.heard(executorId, request, this.executors.has(executorId));
    return this.#taken(executorId, request);
  }

  #taken(executorId: string, request: HeartbeatRequest): HeartbeatResponse {
    const known = this.executors.get(executorId);
    if (request.status === ExecutorStatus.STOPPED) {
      known?.mustHaveHungUp("STOPPED");
      known?.hangUp();
      this.executors.delete(executorId);
      this.ears.onStopped?.(executorId);
      return create(HeartbeatResponseSchema, { sendState: false });
    }
    if (known === undefined && request.fullState === undefined) {
      this.#conversation.answered(executorId, request, true, true);
      return create(HeartbeatResponseSchema, { sendState: true });
    }
    const executor = known ?? new DoubleExecutor(executorId, this.violations, this.#conversation);
    try {
      const response = this.#ingest(executor, request);
      this.#conversation.answered(executorId, request, response.sendState === true, false);
      return response;
    } catch (error) {
      this.#conversation.mayBringState(executorId);
      throw error;
    }
  }

  #ingest(executor: DoubleExecutor, request: HeartbeatRequest): HeartbeatResponse {
    if (request.fullState !== undefined) {
      checkFullState(request.fullState);
      this.executors.set(executor.id, executor);
      executor.register(request.fullState);
      this.ears.onRegistered?.(executor.id, request.fullState);
    }
    executor.seen();
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
    this.#conversation.polled(request.executorId);
    await this.#misbehave();
    const executor = this.#polling(request.executorId);
    const { ackedCommandSeq: acked } = request;
    const commands = await executor.commands.poll(acked, call, this.misbehaviour.pollHoldMs);
    const answer = this.#shuffled(commands);
    executor.commands.delivered(answer);
    if (hasGap(answer, acked ?? 0n)) this.#conversation.mayBringState(request.executorId);
    return answer;
  }

  async #pollResults(
    request: PollAllocationResultsRequest,
    call: Unary<unknown>,
  ): Promise<readonly SequencedAllocationResult[]> {
    this.#conversation.polled(request.executorId);
    await this.#misbehave();
    const { results } = this.#polling(request.executorId);
    const answer = await results.poll(request.ackedResultSeq, call, this.misbehaviour.pollHoldMs);
    results.delivered(answer);
    return answer;
  }

  #polling(executorId: string): DoubleExecutor {
    const executor = this.executors.get(executorId);
    if (executor === undefined) throw new Refusal(status.NOT_FOUND, "executor not registered");
    executor.seen();
    return executor;
  }

  #shuffled(commands: readonly Command[]): readonly Command[] {
    const { skipsCommand, repeatsCommands, reorders } = this.misbehaviour;
    let list = [...commands];
    if (repeatsCommands) list = [...list, ...list];
    if (reorders?.isOneIn(3) === true) list = shuffled(list, reorders);
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
  /** So many of the next heartbeats with a full state are answered UNAVAILABLE, and nothing of them is taken. */
  failsFullStates: number;
  /** How long a poll without news is held. */
  pollHoldMs: number;
  /** The outcome of this allocation makes a heartbeat fail, for ever. */
  chokesOn: string | undefined;
  /** This command's number is never delivered. */
  skipsCommand: bigint | undefined;
  /** Every command comes twice in one answer. */
  repeatsCommands: boolean;
  /** The commands of every third answer come in an order of its choice. */
  reorders: Random | undefined;
}

const GOOD: Misbehaviour = {
  delayMs: 0,
  failsShare: 0,
  failsFullStates: 0,
  pollHoldMs: 5_000,
  chokesOn: undefined,
  skipsCommand: undefined,
  repeatsCommands: false,
  reorders: undefined,
};

const CANCEL_GRACE_MS = 100;

/** So long may an executor be silent (3.8). */
const LAPSE_MS = 30_000;

type Unary<T> = ServerUnaryCall<T, unknown>;

/** A heartbeat that has not been answered. */
interface Beating {
  readonly call: Unary<unknown>;
  /** Set once another has come meanwhile: its answer waits for that, since an answered call looks given up. */
  isLookedAt: Promise<void> | undefined;
}

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
  /** When it last gave a sign of life, by the clock that never jumps. */
  seenAtMs = performance.now();
  readonly #told = new Set<string>();
  readonly #complain: (text: string) => void;
  readonly #conversation: Conversation;

  constructor(id: string, violations: string[], conversation: Conversation) {
    const complain = (text: string): void => void violations.push(text);
    this.id = id;
    this.#complain = complain;
    this.#conversation = conversation;
    this.commands = new Outbox("commands", complain);
    this.results = new Outbox("results", complain);
  }

  seen(): void {
    this.seenAtMs = performance.now();
  }

  /** Nothing of it may be open any more. */
  mustHaveHungUp(why: string): void {
    this.commands.mustBeClosed(why);
    this.results.mustBeClosed(why);
  }

  register(state: DataplaneStateFullSync): void {
    this.state = state;
    this.registrations += 1;
    this.commands.restart();
    this.results.restart();
  }

  send(command: MessageInitShape<typeof CommandSchema>["command"]): void {
    this.commands.add((seq) => {
      const message = create(CommandSchema, { seq, ...(command === undefined ? {} : { command }) });
      this.#conversation.sent(message);
      return message;
    });
  }

  sendResult(entry: AllocationLogEntry): void {
    this.results.add((seq) => create(SequencedAllocationResultSchema, { seq, entry }));
  }

  note(entry: AllocationLogEntry): void {
    // What is sent again, because its answer was lost, was in time.
    const encoded = Buffer.from(toBinary(AllocationLogEntrySchema, entry)).toString("base64");
    if (this.outcomes.has(entry.allocationId) && !this.#told.has(encoded)) {
      this.#complain(`3.5: a log entry of ${entry.allocationId} came after its outcome`);
    }
    this.#told.add(encoded);
    this.entries.push(entry);
  }

  noteOutcome(outcome: AllocationOutcome): void {
    const { value } = outcome.outcome;
    if (value === undefined) return;
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
  /** Everything up to this number has been handed out. */
  #handedOut = 0n;
  #regressed = false;
  /** How often it was begun anew. */
  #life = 0;
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
    this.mustBeClosed("a full state");
    this.#life += 1;
    this.#items = [];
    this.#last = 0n;
    this.#acked = 0n;
    this.#handedOut = 0n;
    this.#regressed = false;
    this.release();
  }

  /** What is open should have been given up. It is answered only after that was looked at: an answered call looks given up. */
  mustBeClosed(why: string): void {
    const open = this.#open;
    const wake = this.#wake;
    if (open === undefined || wake === undefined) return;
    this.#open = undefined;
    this.#wake = undefined;
    unlessGivenUp(
      open,
      () => this.#complain(`3.1: ${why} came while a poll for ${this.#name} was open`),
      wake,
    );
  }

  /** This has gone out, in this order. */
  delivered(items: readonly { readonly seq: bigint }[]): void {
    const seqs = new Set(items.map(({ seq }) => seq));
    while (seqs.has(this.#handedOut + 1n)) this.#handedOut += 1n;
  }

  takeRegression(): boolean {
    const regressed = this.#regressed;
    this.#regressed = false;
    return regressed;
  }

  async poll(acked: bigint | undefined, call: Unary<unknown>, holdMs: number): Promise<readonly T[]> {
    if (acked === 0n) this.#complain(`3.6: ${this.#name}: an acknowledgement of 0 is to be left out`);
    const ack = acked ?? 0n;
    if (ack > this.#handedOut)
      this.#complain(`3.6: ${this.#name}: ${ack} acknowledged, ${this.#handedOut} handed out`);
    // One that begins anew acknowledges nothing.
    if (ack > 0n && ack < this.#acked)
      this.#complain(`3.6: ${this.#name}: ${ack} acknowledged after ${this.#acked}`);
    if (ack < this.#acked) this.#regressed = true;
    this.#acked = ack;
    this.#items = this.#items.filter(({ seq }) => seq > ack);
    const life = this.#life;
    if (this.#items.length === 0) await this.#hold(call, holdMs);
    return life === this.#life ? [...this.#items] : [];
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

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const list = [...items];
  for (let last = list.length - 1; last > 0; last -= 1) {
    const other = random.int(last + 1);
    [list[last], list[other]] = [list[other]!, list[last]!];
  }
  return list;
}

/** Whether a number is missing or not in its place, for one that has applied all up to `acked`. */
function hasGap(commands: readonly Command[], acked: bigint): boolean {
  let applied = acked;
  for (const { seq } of commands) {
    if (seq > applied + 1n) return true;
    if (seq > applied) applied = seq;
  }
  return false;
}

/** The end of a call and the next call may arrive in one packet, and are told of in either order. */
function unlessGivenUp(call: Unary<unknown>, complain: () => void, then?: () => void): void {
  const look = (): void => {
    if (!call.cancelled) complain();
    then?.();
  };
  // After a standstill timers come before what has arrived meanwhile: that has its turn first.
  setTimeout(() => setImmediate(look), CANCEL_GRACE_MS);
}

/** What makes a real server refuse a registration. */
function checkFullState({ totalContainerResources, totalResources }: DataplaneStateFullSync): void {
  for (const resources of [totalContainerResources, totalResources]) {
    const faults = resources === undefined ? [] : hostFaults("resources", resources);
    if (faults.length > 0) throw new Refusal(status.INTERNAL, faults.join());
  }
}
