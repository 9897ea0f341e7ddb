import type { IncomingMessage, ServerResponse } from "node:http";
import type { RunId } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";

/** One request on its way through the door. */
export class RequestContext {
  /** Names this request in its answer and in the log, and the run if it becomes one. */
  readonly runId: RunId;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Name of the token it came with, once that was checked. */
  tokenName: string | undefined;
  #gone: AbortController | undefined;

  constructor(runId: RunId, request: IncomingMessage, response: ServerResponse) {
    this.runId = runId;
    this.request = request;
    this.response = response;
    response.setHeader("Hearth-Request-Id", runId);
  }

  /** The executor has heard of this call, so that there will be a run of this name to ask for. */
  nameRun(): void {
    if (!this.response.headersSent) this.response.setHeader("Hearth-Run-Id", this.runId);
  }

  get peer(): string {
    return this.request.socket.remoteAddress ?? "";
  }

  /** Aborts when the client goes away before its answer is complete. */
  get signal(): AbortSignal {
    if (this.#gone === undefined) {
      const gone = new AbortController();
      this.#gone = gone;
      this.onGone(() => gone.abort(new ExecutorError("CALL_CANCELLED", { reason: "the caller went away" })));
    }
    return this.#gone.signal;
  }

  /** Calls back once if the client goes away before its answer is complete; at once if it has. */
  onGone(callback: () => void): void {
    const { response } = this;
    if (response.writableFinished) return;
    if (response.destroyed || this.request.socket.destroyed) {
      callback();
      return;
    }
    response.once("close", () => {
      if (!response.writableFinished) callback();
    });
  }
}
