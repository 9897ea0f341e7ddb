import type { AnswerHead, AnswerSink, BodySource, CallRequest, Exchange } from "../../core/index.ts";
import type { CanWait } from "./waiting-line.ts";

/** What an exchange needs of the connection that carries it. */
export interface Carrier {
  pause(): void;
  resume(): void;
  abandon(): void;
}

/**
 * One request from `send` to its end: waiting (no carrier) or carried, then over. It is the only one that talks to the
 * sink, so that the order which the port promises is kept in one place.
 */
export class ChannelExchange implements Exchange, CanWait<ChannelExchange> {
  readonly request: CallRequest;
  readonly #sink: AnswerSink;
  readonly #onGiveUp: (exchange: ChannelExchange) => void;
  #carrier: Carrier | undefined;
  #isOver = false;
  #isPaused = false;
  /** Whether it was handed to a second connection because the first was dead before a byte was written. */
  hasMoved = false;
  isWaiting = false;
  before: ChannelExchange | undefined = undefined;
  behind: ChannelExchange | undefined = undefined;

  constructor(request: CallRequest, sink: AnswerSink, onGiveUp: (exchange: ChannelExchange) => void) {
    this.request = request;
    this.#sink = sink;
    this.#onGiveUp = onGiveUp;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** The body when it has to be pulled. */
  get source(): BodySource | undefined {
    const { body } = this.request;
    return body instanceof Uint8Array ? undefined : body;
  }

  carriedBy(carrier: Carrier): void {
    this.#carrier = carrier;
  }

  pause(): void {
    if (this.#isOver || this.#isPaused) return;
    this.#isPaused = true;
    this.#carrier?.pause();
  }

  resume(): void {
    if (this.#isOver || !this.#isPaused) return;
    this.#isPaused = false;
    this.#carrier?.resume();
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.source?.destroy();
    const carrier = this.#carrier;
    this.#carrier = undefined;
    if (carrier === undefined) this.#onGiveUp(this);
    else carrier.abandon();
  }

  onHead(head: AnswerHead): void {
    if (!this.#isOver) this.#sink.onHead(head);
  }

  onData(chunk: Uint8Array): void {
    if (!this.#isOver) this.#sink.onData(chunk);
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#carrier = undefined;
    this.#sink.onEnd();
  }

  fail(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#carrier = undefined;
    this.source?.destroy();
    this.#sink.onError(error);
  }
}
