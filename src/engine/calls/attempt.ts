import type {
  AnswerHead,
  AnswerSink,
  AttemptDoor,
  CallEnd,
  CallRequest,
  CallStory,
  CallTrace,
  DoorName,
  Exchange,
  Observer,
  RunId,
  SandboxUse,
  StartStory,
  TaskKey,
  TaskSpec,
  Tracer,
} from "../../core/index.ts";
import { ExecutorError, outcomeOf } from "../../core/index.ts";
import type { CallOptions, CallSink, Placement } from "../executor.ts";
import type { SandboxOwner } from "../sandboxes/sandbox-owner.ts";
import type { SessionTie } from "../sessions/sessions.ts";
import { counted, outgoing } from "./outgoing.ts";
import type { CanRun } from "./running-calls.ts";
import { NOT_RUNNING } from "./running-calls.ts";
import type { TaskLine } from "./task-line.ts";
import type { UseMeter } from "./use-meter.ts";
import { whyBroken } from "./why-broken.ts";

/** A call whose sandbox could not be reached, with nothing sent, is placed again this often. */
const MOST_PLACEMENTS = 3;

/** A time that has not come. */
const NOT_YET = -1;

/** What an attempt asks of the executor around it. */
export interface AttemptHost {
  nowMs(): number;
  /** `finish` or `cancel`: see `Settings.onDisconnect`. */
  onDisconnect(): "finish" | "cancel";
  /** It runs from now on; `ended` takes it off again. */
  started(attempt: Attempt): void;
  ended(attempt: Attempt): void;
  track(work: Promise<void>): void;
  /** Why no call is taken now; `undefined` while they are. */
  refusal(): ExecutorError | undefined;
  readonly observer: Observer;
  /** `undefined` where calls are not traced. */
  readonly tracer: Tracer | undefined;
}

const NO_GPU_IDS: readonly string[] = [];

type AttemptState = "waiting" | "running" | "ending" | "done";

/** One call on its way through: waiting in its task's line, then running in a slot, then settled, exactly once. */
export class Attempt implements Exchange, AnswerSink, CallStory, CanRun {
  readonly request: CallRequest;
  readonly options: CallOptions;
  readonly startedAtMs: number;
  readonly trace: CallTrace | undefined;
  /** To a session, for a call that has to do with one. */
  tie: SessionTie | undefined;
  /** From when its wait for room or a slot is counted; progress of its start sets it anew. */
  waitingSinceMs: number;
  /** When it was sent to its task; what the run deadline counts from. */
  sentAtMs = NOT_YET;
  runningAt = NOT_RUNNING;
  readonly #host: AttemptHost;
  readonly #line: TaskLine;
  #sink: CallSink | undefined;
  #state: AttemptState = "waiting";
  #owner: SandboxOwner | undefined;
  #exchange: Exchange | undefined;
  #placements = 0;
  // What its story tells, in plain numbers: a warm call must not pay for being told of.
  #placement: Placement | undefined;
  #start: StartStory | undefined;
  #use: UseMeter | undefined;
  #ticket = 0;
  wasAlone = false;
  gpuIds: readonly string[] = NO_GPU_IDS;
  #isQueued = false;
  #headAtMs = NOT_YET;
  #endedAtMs = NOT_YET;
  #bytesIn = 0;
  #bytesOut = 0;
  #status = 0;
  #end: CallEnd | undefined;
  #error: Error | undefined;

  constructor(host: AttemptHost, line: TaskLine, request: CallRequest, options: CallOptions, sink: CallSink) {
    this.#host = host;
    this.#line = line;
    this.startedAtMs = host.nowMs();
    this.trace = host.tracer?.begin(request.headers, this.startedAtMs);
    this.request = this.#prepared(outgoing(request, this.trace));
    this.options = options;
    this.#sink = sink;
    this.waitingSinceMs = this.startedAtMs;
  }

  get sink(): CallSink | undefined {
    return this.#sink;
  }

  get door(): DoorName {
    return this.options.door;
  }

  get recordedAs(): AttemptDoor {
    const { door, recordedAs } = this.options;
    return recordedAs ?? (door === "http" ? "v1" : door);
  }

  get runId(): RunId | undefined {
    return this.options.runId;
  }

  get task(): TaskSpec {
    return this.#line.task;
  }

  get taskKey(): TaskKey {
    return this.#line.key;
  }

  get acceptedAtMs(): number {
    return this.startedAtMs;
  }

  get placement(): Placement | undefined {
    return this.#placement;
  }

  get start(): StartStory | undefined {
    return this.#start;
  }

  get use(): SandboxUse | undefined {
    return this.#use;
  }

  get placedAtMs(): number | undefined {
    return this.sentAtMs === NOT_YET ? undefined : this.sentAtMs;
  }

  get headAtMs(): number | undefined {
    return this.#headAtMs === NOT_YET ? undefined : this.#headAtMs;
  }

  get endedAtMs(): number | undefined {
    return this.#endedAtMs === NOT_YET ? undefined : this.#endedAtMs;
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  get bytesOut(): number {
    return this.#bytesOut;
  }

  get status(): number | undefined {
    return this.#status === 0 ? undefined : this.#status;
  }

  get end(): CallEnd | undefined {
    return this.#end;
  }

  get error(): Error | undefined {
    return this.#error;
  }

  /** It waits in its task's line. */
  queued(): void {
    if (this.#isQueued) return;
    this.#isQueued = true;
    this.#host.observer.callQueued(this);
  }

  /** Takes a slot and sends the request. */
  place(owner: SandboxOwner, start: Placement["start"]): void {
    const sandbox = owner.sandbox;
    owner.take();
    this.#owner = owner;
    this.#state = "running";
    this.#placements += 1;
    this.sentAtMs = this.#host.nowMs();
    this.#host.started(this);
    this.#start = owner.start;
    this.gpuIds = owner.gpuIds;
    this.#use = owner.use;
    if (owner.use !== undefined) this.#ticket = owner.use.took(this.sentAtMs);
    this.#placement = {
      sandboxId: owner.id,
      isolation: sandbox.isolation,
      imageDigest: owner.imageDigest,
      start,
      waitedMs: this.sentAtMs - this.startedAtMs,
      phases: sandbox.phases,
      warnings: sandbox.warnings,
    };
    if (this.tie !== undefined) this.#bind(owner, this.tie);
    this.#sink?.onPlaced(this.#placement);
    if (this.#isQueued) this.#host.observer.callPlaced(this);
    if (this.request.body instanceof Uint8Array) this.#bytesIn = this.request.body.byteLength;
    // A channel answers only after it has returned.
    this.#exchange = owner.channel.send(this.request, this);
  }

  /** The only sandbox that it may run on; `undefined`: any of its task. */
  get boundTo(): SandboxOwner | undefined {
    return this.tie?.owner;
  }

  #bind(owner: SandboxOwner, tie: SessionTie): void {
    const session = tie.placed(owner);
    if (session !== undefined) this.#sink?.onSession?.(session);
  }

  /** Ends it with an error of ours before it ran, or after its time was over. */
  fail(error: Error): void {
    if (this.#state === "done") return;
    const sink = this.#sink;
    this.#error = error;
    this.#settle("failed");
    sink?.onError(error);
  }

  get isSettled(): boolean {
    return this.#state === "done";
  }

  /** Expires it if it has run for the setting's limit, or for its own if that is shorter. */
  expireAt(nowMs: number, runTimeoutMs: number): void {
    const limitMs = Math.min(runTimeoutMs, this.options.runTimeoutMs ?? runTimeoutMs);
    if (nowMs - this.sentAtMs >= limitMs) this.expire(new ExecutorError("RUN_TIMEOUT", { afterMs: limitMs }));
  }

  /** Its time, or the executor's, is over: the sandbox that would not answer is given up with it. */
  expire(error: Error): void {
    const owner = this.#owner;
    this.#exchange?.cancel();
    this.fail(error);
    owner?.retire("overdue");
  }

  onHead(head: AnswerHead): void {
    this.#headAtMs = this.#host.nowMs();
    this.#status = head.status;
    this.#sink?.onHead(head);
  }

  onData(chunk: Uint8Array): void {
    this.#bytesOut += chunk.byteLength;
    this.#sink?.onData(chunk);
  }

  onEnd(): void {
    if (this.#state !== "running") return;
    const sink = this.#sink;
    this.#settle("answered");
    sink?.onEnd();
  }

  onError(error: Error): void {
    if (this.#state !== "running") return;
    const owner = this.#owner;
    const code = error instanceof ExecutorError ? error.code : undefined;
    if (owner !== undefined && code === "TASK_UNREACHABLE") {
      this.#placeAgain(owner, error);
      return;
    }
    if (owner !== undefined && code === "TASK_EXITED") {
      this.#state = "ending";
      this.#host.track(whyBroken(owner, error).then((why) => this.fail(why)));
      return;
    }
    this.fail(error);
  }

  pause(): void {
    this.#exchange?.pause();
  }

  resume(): void {
    this.#exchange?.resume();
  }

  cancel(): void {
    if (this.#state === "done") return;
    this.#sink = undefined;
    if (this.#state === "waiting") {
      this.#line.drop(this);
      this.#settle("cancelled");
      return;
    }
    const effect = this.#cancelEffect();
    if (effect === "finish") {
      // Nobody may be left who would resume it, and its slot must come back.
      this.#exchange?.resume();
      return;
    }
    const owner = this.#owner;
    this.#exchange?.cancel();
    this.#settle("cancelled");
    if (effect === "retire") owner?.retire("cancelled");
  }

  #cancelEffect(): "finish" | "close" | "retire" {
    const { onCancel } = this.options;
    if (onCancel !== undefined) return onCancel;
    // Half a body cannot be finished, and its server sees that it broke off.
    if (!(this.request.body instanceof Uint8Array)) return "close";
    return this.#host.onDisconnect() === "finish" ? "finish" : "retire";
  }

  #placeAgain(owner: SandboxOwner, error: Error): void {
    this.tie?.unreachable();
    this.#release();
    owner.retire("died");
    // A pause or the end that began meanwhile has refused everybody who waits, and starts nothing more.
    const closed = this.#host.refusal();
    if (closed !== undefined) {
      this.fail(closed);
      return;
    }
    if (this.#placements >= MOST_PLACEMENTS) {
      this.fail(error);
      return;
    }
    this.#state = "waiting";
    this.waitingSinceMs = this.#host.nowMs();
    this.#line.enqueue(this, "front");
  }

  #settle(end: CallEnd): void {
    // Only a success opens a session; the caller of any other answer is told of none.
    const isHeard = end === "answered" && this.#sink !== undefined && outcomeOf(this.#status).isSuccess;
    this.#state = "done";
    this.#sink = undefined;
    this.#end = end;
    this.#endedAtMs = this.#host.nowMs();
    if (end === "answered") this.#line.timed(this.#endedAtMs - this.sentAtMs);
    this.tie?.settled(isHeard);
    this.#release();
    this.#host.observer.callEnded(this);
  }

  /** A body that streams is counted on its way. */
  #prepared(request: CallRequest): CallRequest {
    const { body } = request;
    if (body instanceof Uint8Array) return request;
    const count = (bytes: number): void => {
      this.#bytesIn += bytes;
    };
    return { ...request, body: counted(body, count) };
  }

  #release(): void {
    const owner = this.#owner;
    if (owner === undefined) return;
    this.#owner = undefined;
    this.#exchange = undefined;
    const use = this.#use;
    if (use !== undefined) {
      this.wasAlone = use.wasAlone(this.#ticket);
      use.gave(this.#endedAtMs === NOT_YET ? this.#host.nowMs() : this.#endedAtMs);
    }
    this.#host.ended(this);
    owner.give();
  }
}
