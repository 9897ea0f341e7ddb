import type { Attestation } from "../../../contract/v1/sessions.ts";
import type { AnswerHead, Exchange } from "../../../core/index.ts";
import { ExecutorError, outcomeOf } from "../../../core/index.ts";
import type { CallSink, Placement, SessionView } from "../../../engine/executor.ts";
import { sendJson, sendText } from "../answer/send-json.ts";
import { sendProblem } from "../answer/send-problem.ts";
import { answerHeaders, sessionHeaders } from "../calls/answer-head.ts";
import type { RequestContext } from "../request-context.ts";
import { showSession } from "./sessions.ts";

/** Quotes and their certificates are a few kilobytes. */
const EVIDENCE_LIMIT_BYTES = 1_048_576;

/** Gathers a server's evidence and answers it with its session as one object. An answer that is no success is passed on as it is. */
export class AttestationAnswer implements CallSink {
  readonly #context: RequestContext;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #exchange: Exchange | undefined;
  #session: SessionView | undefined;
  #placement: Placement | undefined;
  #head: AnswerHead | undefined;
  #isOver = false;

  constructor(context: RequestContext) {
    this.#context = context;
  }

  attach(exchange: Exchange): void {
    this.#exchange = exchange;
    this.#context.onGone(() => this.#cancel());
  }

  onSession(session: SessionView): void {
    this.#session = session;
  }

  onPlaced(placement: Placement): void {
    this.#placement = placement;
  }

  onHead(head: AnswerHead): void {
    this.#head = head;
  }

  onData(chunk: Uint8Array): void {
    this.#bytes += chunk.byteLength;
    if (this.#bytes <= EVIDENCE_LIMIT_BYTES) {
      this.#chunks.push(Buffer.from(chunk));
      return;
    }
    this.#cancel();
    sendProblem(this.#context, new ExecutorError("ANSWER_TOO_LARGE", { limitBytes: EVIDENCE_LIMIT_BYTES }));
  }

  onEnd(): void {
    const head = this.#head;
    if (this.#isOver || head === undefined) return;
    this.#isOver = true;
    try {
      this.#send(head, Buffer.concat(this.#chunks));
    } catch (error) {
      sendProblem(this.#context, error);
    }
  }

  onError(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    sendProblem(this.#context, error);
  }

  #send(head: AnswerHead, evidence: Buffer): void {
    const { response } = this.#context;
    const headers = answerHeaders(head, this.#placement);
    if (!outcomeOf(head.status).isSuccess || this.#session === undefined) {
      sendText(response, head.status, evidence, headers);
      return;
    }
    const answer: Attestation = {
      session: showSession(this.#session),
      evidence: {
        ...(head.contentType === undefined ? {} : { contentType: head.contentType }),
        base64: evidence.toString("base64"),
      },
    };
    const { "content-encoding": _, "content-type": __, ...rest } = headers;
    sendJson(response, 200, answer, { ...rest, ...sessionHeaders(this.#session) });
  }

  #cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#exchange?.cancel();
  }
}
