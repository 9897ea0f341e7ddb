import type { Endpoint } from "./driver.ts";

/** A body that is not in memory as a whole. The channel pulls: it calls `start` once, and `pause`/`resume` around slow peers. */
export interface BodySource {
  /** Known length in bytes, or `undefined` for a chunked body. */
  readonly length: number | undefined;
  start(sink: { onData(chunk: Uint8Array): void; onEnd(): void; onError(error: Error): void }): void;
  pause(): void;
  resume(): void;
  /** The receiver wants no more of it. */
  destroy(): void;
}

/** One request to a task's server. */
export interface CallRequest {
  readonly method: "POST" | "GET";
  /** Origin-form target, such as `/`. Must hold no space, control character or CR/LF: it is written as it stands. */
  readonly path: string;
  readonly contentType: string;
  /** Further header lines, name and value, already free of control characters; `Host`, `Connection` and lengths are the channel's. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array | BodySource;
}

/** What the task's server said before its body. Header names are lower-case. */
export interface AnswerHead {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly contentType: string | undefined;
  /** As declared; `undefined` for a chunked body or one that ends with its connection. */
  readonly contentLength: number | undefined;
}

/**
 * Takes one answer. Order: `onHead` once, `onData` any number of times, then exactly one of `onEnd` and `onError`; `onError`
 * may also come first and alone. A chunk is only valid during the call. Nothing is called before `send` has returned, nor after `cancel`.
 */
export interface AnswerSink {
  onHead(head: AnswerHead): void;
  onData(chunk: Uint8Array): void;
  onEnd(): void;
  /**
   * `TASK_UNREACHABLE`: nothing was sent, another try is safe. `TASK_EXITED`: the connection ended before the answer had; whether
   * its server has ended as well is not known here.
   * `TASK_PROTOCOL`: what came is not HTTP/1.1. `QUEUE_FULL`: too many requests for this one sandbox.
   */
  onError(error: Error): void;
}

/** One request under way. */
export interface Exchange {
  /** Stops reading the answer until `resume`; the task's server feels it. */
  pause(): void;
  resume(): void;
  /** Gives up: closes this connection, calls nothing more. Safe at any time. */
  cancel(): void;
}

/** Keep-alive connections to one sandbox's server: one request per connection at a time, a bounded number of connections. */
export interface CallChannel {
  send(request: CallRequest, sink: AnswerSink): Exchange;
  /** Closes idle connections now, and each other one as its request ends. `send` after it errs with `TASK_UNREACHABLE`. */
  close(): void;
  /**
   * Its server has ended: closes, and ends each call that gets nothing more of its answer with `TASK_EXITED`, although its
   * connection may never say so. What was sent before is still handed on, at the receiver's pace.
   */
  serverEnded(): void;
  /** Whether its server takes a connection now and keeps it for a moment: it runs. Takes some 60 ms; never rejects. */
  takesConnections(): Promise<boolean>;
}

/** Opens a channel; no connection is made before the first request. */
export type OpenChannel = (endpoint: Endpoint) => CallChannel;
