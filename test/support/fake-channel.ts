import type {
  AnswerSink,
  CallChannel,
  CallRequest,
  Clock,
  Exchange,
  OpenChannel,
} from "../../src/core/index.ts";
import { ExecutorError } from "../../src/core/index.ts";

/** How long after its sandbox's end a call that hears no more is given up. */
const REST_MS = 2000;

/** A call that has reached a fake sandbox and waits for the test, or for its own running time, to answer it. */
export interface FakeCall {
  readonly sandboxId: string;
  readonly request: CallRequest;
  answer(text?: string, status?: number): void;
  fail(error: Error): void;
  readonly isCancelled: boolean;
}

/** Channels that reach nothing: calls are kept until a test answers them, or answer by themselves after `runMs`. */
export class FakeChannels {
  readonly calls: FakeCall[] = [];
  /** Sandboxes whose connections are refused from now on. */
  readonly unreachable = new Set<string>();
  /** Sandboxes whose servers take further connections after one has broken. */
  readonly serving = new Set<string>();
  runMs: number | undefined;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  readonly open: OpenChannel = (endpoint) => this.#open(endpoint.host);

  #open(sandboxId: string): CallChannel {
    let isClosed = false;
    return {
      send: (request, sink) => {
        if (isClosed || this.unreachable.has(sandboxId)) return unreachable(sink);
        return this.#send(sandboxId, request, sink);
      },
      close: () => {
        isClosed = true;
      },
      serverEnded: () => {
        isClosed = true;
        this.#clock.after(REST_MS, () => {
          for (const call of this.calls.filter((one) => one.sandboxId === sandboxId))
            call.fail(new ExecutorError("TASK_EXITED"));
        });
      },
      takesConnections: () => Promise.resolve(this.serving.has(sandboxId)),
    };
  }

  #send(sandboxId: string, request: CallRequest, sink: AnswerSink): Exchange {
    let isDone = false;
    const finish = (act: () => void): void => {
      if (isDone) return;
      isDone = true;
      this.calls.splice(this.calls.indexOf(call), 1);
      act();
    };
    const call: FakeCall & { isCancelled: boolean } = {
      sandboxId,
      request,
      isCancelled: false,
      answer: (text = "ok", status = 200) =>
        finish(() => {
          const body = Buffer.from(text);
          sink.onHead({ status, headers: [], contentType: "text/plain", contentLength: body.length });
          sink.onData(body);
          sink.onEnd();
        }),
      fail: (error) => finish(() => sink.onError(error)),
    };
    this.calls.push(call);
    if (this.runMs !== undefined) this.#clock.after(this.runMs, () => call.answer());
    return {
      pause: () => undefined,
      resume: () => undefined,
      cancel: () =>
        finish(() => {
          call.isCancelled = true;
        }),
    };
  }
}

function unreachable(sink: AnswerSink): Exchange {
  queueMicrotask(() => sink.onError(new ExecutorError("TASK_UNREACHABLE")));
  return { pause: () => undefined, resume: () => undefined, cancel: () => undefined };
}
