import type { AnswerHead, Exchange } from "../../../core/index.ts";
import { outcomeOf } from "../../../core/index.ts";
import type { CallSink, Placement, SessionView } from "../../../engine/executor.ts";
import { lingerThenClose } from "../answer/linger.ts";
import { sendProblem } from "../answer/send-problem.ts";
import type { RequestContext } from "../request-context.ts";
import { answerHeaders, sessionHeaders } from "./answer-head.ts";

/** Passes a task's answer on as it comes: its status, what describes its body, and its bytes; a slow caller slows the task. */
export class StreamedAnswer implements CallSink {
  readonly #context: RequestContext;
  #exchange: Exchange | undefined;
  #placement: Placement | undefined;
  #session: SessionView | undefined;
  #isPaused = false;
  #isOver = false;

  constructor(context: RequestContext) {
    this.#context = context;
  }

  /** Ties the call to its caller: one that goes away cancels it. */
  attach(exchange: Exchange): void {
    this.#exchange = exchange;
    if (this.#isOver) return;
    this.#context.response.on("drain", () => {
      if (!this.#isPaused) return;
      this.#isPaused = false;
      exchange.resume();
    });
    this.#context.onGone(() => this.#cancel());
  }

  onSession(session: SessionView): void {
    this.#session = session;
  }

  onPlaced(placement: Placement): void {
    this.#placement = placement;
  }

  onHead(head: AnswerHead): void {
    const { response } = this.#context;
    if (this.#isOver || response.destroyed) return;
    this.#context.nameRun();
    try {
      // Only a call that succeeds has opened one.
      const session = outcomeOf(head.status).isSuccess ? sessionHeaders(this.#session) : {};
      response.writeHead(head.status, { ...answerHeaders(head, this.#placement), ...session });
      response.flushHeaders();
    } catch (error) {
      this.#cancel();
      sendProblem(this.#context, error);
    }
  }

  onData(chunk: Uint8Array): void {
    if (this.#isOver) return;
    // The channel uses its buffer again.
    if (this.#context.response.write(Buffer.from(chunk)) || this.#isPaused) return;
    this.#isPaused = true;
    this.#exchange?.pause();
  }

  onEnd(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { request, response } = this.#context;
    // The task answered before it had taken all of its input, and nobody will: no further request can follow.
    if (!request.complete) response.once("finish", () => lingerThenClose(request.socket));
    response.end();
  }

  onError(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#context.nameRun();
    sendProblem(this.#context, error);
  }

  #cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#exchange?.cancel();
  }
}
