import type { BodySource } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { DoorParts } from "../parts.ts";
import type { RequestContext } from "../request-context.ts";
import { watchBody } from "./body-watch.ts";
import { contentLength } from "./content-length.ts";
import { askForBody } from "./expect-continue.ts";

/** A request's body as the channel pulls it: nothing is read before it asks, and no more than one buffer is held. */
export function bodySource(
  { limits, options }: DoorParts,
  { request, response }: RequestContext,
): BodySource {
  let stop: () => void = () => undefined;
  return {
    length: contentLength(request),
    start: (sink) => {
      askForBody(request, response);
      const settle = (act: () => void): void => {
        stop();
        stop = () => undefined;
        act();
      };
      const onEnd = (): void => settle(() => sink.onEnd());
      const onClose = (): void => {
        if (!request.complete)
          settle(() => sink.onError(new ExecutorError("CALL_CANCELLED", { reason: "the caller went away" })));
      };
      const onError = (error: Error): void => settle(() => sink.onError(error));
      const onData = (chunk: Buffer): void => sink.onData(chunk);
      const stopWatching = watchBody(request, options.wheel, limits.bodyTimeoutMs, () =>
        settle(() =>
          sink.onError(new ExecutorError("REQUEST_TIMEOUT", { reason: "the body came too slowly" })),
        ),
      );
      stop = () => {
        stopWatching();
        request.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onError);
        // Whatever goes wrong from here on is the answer's affair.
        request.on("error", () => undefined);
      };
      request.on("end", onEnd).on("close", onClose).on("error", onError).on("data", onData);
    },
    pause: () => {
      request.pause();
    },
    resume: () => {
      request.resume();
    },
    destroy: () => {
      stop();
      stop = () => undefined;
      request.pause();
    },
  };
}
