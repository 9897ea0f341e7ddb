import {
  type ExecutionRequest,
  ExecutionRequestReader,
  encodeLegacyAnswer,
  LARGE_REQUEST_BYTES,
  legacyAnswerPieces,
  plainLegacyAnswer,
  readLargeRequest,
  SMALL_ANSWER_BYTES,
} from "../../../contract/legacy/index.ts";
import {
  type AnswerHead,
  type CallRequest,
  type ErrorCode,
  type Exchange,
  ExecutorError,
  outcomeOf,
  type RunId,
  type TaskSpec,
} from "../../../core/index.ts";
import type { CallSink, Executor, Placement } from "../../../engine/executor.ts";
import { takeTurns } from "../../../std/index.ts";
import { ByteBudget } from "../body/byte-budget.ts";
import { EVIDENCE_PATH, inputPath, isAttestation } from "../calls/task-request.ts";
import { nextRunId } from "../run-id.ts";
import { AnswerCollector } from "./collect-answer.ts";
import { JSON_TYPE, type LegacyAnswer, type LegacyBody } from "./legacy-answer.ts";

export interface LegacyCallerOptions {
  readonly executor: Executor;
  /** A request was no call, or one for a task that there cannot be; the executor never heard of it. */
  onRefused(code: ErrorCode): void;
  /** The longest answer of a task. */
  readonly answerLimitBytes: number;
  /** All answers above 64 KiB that are held at once. */
  readonly answersLimitBytes: number;
}

/** `POST /` without its transport, so that every way in gives the same bytes. */
export interface LegacyCaller {
  /**
   * Runs one execution request. `onAnswer` is called exactly once, maybe before this returns, and never after `cancel`.
   *
   * @param body of the request; it must stay as it is until the answer.
   * @param runId what the answer's `Hearth-Run-Id` says if this becomes a call; a new one by default.
   * @param headers for the task; none by default.
   */
  call(
    body: Buffer,
    onAnswer: (answer: LegacyAnswer) => void,
    runId?: RunId,
    headers?: CallRequest["headers"],
  ): LegacyExchange;
}

export interface LegacyExchange {
  /** The caller went away. Safe at any time. */
  cancel(): void;
}

const NOTHING_TO_RELEASE = (): void => undefined;

/** Opens the contract's `POST /` over an executor; it holds nothing that would have to be closed. */
export function openLegacyCaller(options: LegacyCallerOptions): LegacyCaller {
  const reader = new ExecutionRequestReader();
  const budget = new ByteBudget(options.answersLimitBytes);
  return {
    call(body, onAnswer, runId = nextRunId(), headers = NO_HEADERS) {
      const collector = new AnswerCollector(options.answerLimitBytes, budget);
      const call = new LegacyCall(options, runId, collector, onAnswer, headers);
      if (body.length > LARGE_REQUEST_BYTES) call.beginInSteps(readLargeRequest(body));
      else call.begin(reader.parse(body));
      return call;
    },
  };
}

/** One request until its answer, in the executor's terms. Nothing here waits: each step is a step of the executor's. */
class LegacyCall implements CallSink, LegacyExchange {
  readonly #caller: Pick<LegacyCallerOptions, "executor" | "onRefused">;
  readonly #runId: RunId;
  readonly #collector: AnswerCollector;
  readonly #onAnswer: (answer: LegacyAnswer) => void;
  readonly #headers: CallRequest["headers"];
  /** Read by the executor when the call is cancelled. */
  readonly #options: {
    readonly door: "http";
    readonly recordedAs: "legacy";
    readonly runId: RunId;
    onCancel?: "close";
    session?: typeof HOLD;
  };
  #exchange: Exchange | undefined;
  #placement: Placement | undefined;
  /** Whether the executor knows of it, so that it leaves a run. */
  #isHeard = false;
  #isSuccess = false;
  #length: number | undefined;
  /** The answer's text, when all of it came in one chunk and needs no escape. */
  #plain: string | undefined;
  #isOver = false;

  constructor(
    caller: Pick<LegacyCallerOptions, "executor" | "onRefused">,
    runId: RunId,
    collector: AnswerCollector,
    onAnswer: (answer: LegacyAnswer) => void,
    headers: CallRequest["headers"],
  ) {
    this.#headers = headers;
    this.#caller = caller;
    this.#runId = runId;
    this.#options = { door: "http", recordedAs: "legacy", runId };
    this.#collector = collector;
    this.#onAnswer = onAnswer;
  }

  begin(parsed: ExecutionRequest): void {
    if (parsed.type === "bad") {
      this.#isOver = true;
      this.#caller.onRefused("INPUT_INVALID");
      this.#onAnswer(badRequest(parsed.message));
    } else if (parsed.type === "refused") {
      this.#caller.onRefused(parsed.error.code);
      this.onError(parsed.error);
    } else {
      const { task, input } = parsed;
      const isEvidence = isAttestation(task, input);
      if (isEvidence) this.#options.session = HOLD;
      const request = toRequest(task, input, isEvidence, this.#headers);
      this.#isHeard = true;
      this.#exchange = this.#caller.executor.call(task, request, this.#options, this);
    }
  }

  beginInSteps(steps: Generator<void, ExecutionRequest, undefined>): void {
    takeTurns(steps, { isWanted: () => !this.#isOver, onDone: (parsed) => this.begin(parsed) });
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#collector.drop();
    this.#exchange?.cancel();
  }

  onPlaced(placement: Placement): void {
    this.#placement = placement;
  }

  onHead(head: AnswerHead): void {
    this.#isSuccess = outcomeOf(head.status).isSuccess;
    this.#length = head.contentLength;
    this.#within(() => this.#collector.expect(head));
  }

  onData(chunk: Uint8Array): void {
    if (this.#isOver) return;
    if (
      chunk.byteLength === this.#length &&
      chunk.byteLength <= SMALL_ANSWER_BYTES &&
      Buffer.isBuffer(chunk)
    ) {
      this.#plain = plainLegacyAnswer(this.#isSuccess, chunk);
      if (this.#plain !== undefined) return;
    }
    this.#within(() => this.#collector.add(chunk));
  }

  onEnd(): void {
    if (this.#isOver) return;
    if (this.#plain !== undefined) {
      this.#settle(this.#plain);
      return;
    }
    const answer = this.#collector.take();
    if (answer.length <= SMALL_ANSWER_BYTES) this.#settleEncoded(answer);
    else this.#settle(legacyAnswerPieces(this.#isSuccess, answer));
  }

  onError(error: Error): void {
    if (this.#isOver) return;
    this.#isSuccess = false;
    this.#collector.drop();
    const ours = ExecutorError.from(error);
    this.#settleEncoded(Buffer.from(ours.message), ["Hearth-Error", ours.code]);
  }

  /** Runs what may find the answer too large; then the rest of it is not wanted. */
  #within(act: () => void): void {
    if (this.#isOver) return;
    try {
      act();
    } catch (error) {
      this.#options.onCancel = "close";
      this.#exchange?.cancel();
      this.onError(ExecutorError.from(error));
    }
  }

  #settleEncoded(answer: Buffer, more?: readonly string[]): void {
    this.#settle(encodeLegacyAnswer(this.#isSuccess, answer), more);
  }

  #settle(body: LegacyBody, more: readonly string[] = []): void {
    this.#isOver = true;
    const placement = this.#placement;
    const headers = ["Content-Type", JSON_TYPE, ...more];
    if (this.#isHeard) headers.push("Hearth-Run-Id", this.#runId);
    if (placement !== undefined) {
      headers.push("Hearth-Sandbox-Id", placement.sandboxId);
      headers.push("Hearth-Isolation", placement.isolation);
      headers.push("Hearth-Start", placement.start);
    }
    const collector = this.#collector;
    this.#onAnswer({ status: 200, headers, body, release: () => collector.drop() });
  }
}

/** What goes to the task: the input as it came (`contracts/meca.md` section 4, SGX tasks included). */
function toRequest(
  task: TaskSpec,
  input: Buffer,
  isEvidence: boolean,
  headers: CallRequest["headers"],
): CallRequest {
  return {
    method: isEvidence ? "GET" : "POST",
    path: isEvidence ? EVIDENCE_PATH : inputPath(task),
    contentType: isEvidence ? "" : "application/json",
    headers,
    body: isEvidence ? NO_BODY : input,
  };
}

const NO_HEADERS: CallRequest["headers"] = [];
const NO_BODY = Buffer.alloc(0);
/** These clients know no sessions, and send what follows an attestation as a call of its own. */
const HOLD = { type: "hold" } as const;

function badRequest(message: string): LegacyAnswer {
  return {
    status: 400,
    headers: ["Content-Type", JSON_TYPE],
    body: Buffer.from(JSON.stringify(message)),
    release: NOTHING_TO_RELEASE,
  };
}
