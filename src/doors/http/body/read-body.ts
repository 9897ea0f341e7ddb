import { ExecutorError } from "../../../core/index.ts";
import type { DoorParts } from "../parts.ts";
import type { RequestContext } from "../request-context.ts";
import { watchBody } from "./body-watch.ts";
import { contentLength, tooLarge } from "./content-length.ts";
import { askForBody } from "./expect-continue.ts";

/**
 * Reads a whole request body into memory. What it takes is given back to the door's budget when the request's answer is done.
 *
 * @throws {@link ExecutorError} BODY_TOO_LARGE, before more than the limit is read; QUEUE_FULL when too much is held already;
 * REQUEST_TIMEOUT when it stops coming; CALL_CANCELLED when its client goes away.
 */
export async function readBody(
  { limits, held, options }: Pick<DoorParts, "limits" | "held" | "options">,
  { request, response }: RequestContext,
): Promise<Buffer> {
  const declared = contentLength(request);
  if (declared === 0) return Buffer.alloc(0);
  if (declared !== undefined && declared > limits.bodyBytes) throw tooLarge(limits.bodyBytes);
  let taken = 0;
  const take = (bytes: number): boolean => {
    if (!held.take(bytes)) return false;
    taken += bytes;
    return true;
  };
  response.once("close", () => held.give(taken));
  if (declared !== undefined && !take(declared)) throw memoryFull();
  askForBody(request, response);
  const chunks: Buffer[] = [];
  let length = 0;
  return await new Promise<Buffer>((resolve, reject) => {
    const settle = (act: () => void): void => {
      stopWatching();
      request.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onError);
      act();
    };
    const fail = (error: ExecutorError): void => {
      request.pause();
      settle(() => reject(error));
    };
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > limits.bodyBytes) fail(tooLarge(limits.bodyBytes));
      else if (declared === undefined && !take(chunk.length)) fail(memoryFull());
      else chunks.push(chunk);
    };
    const onEnd = (): void =>
      settle(() => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)));
    const onClose = (): void => fail(new ExecutorError("CALL_CANCELLED", { reason: "the caller went away" }));
    const onError = (cause: Error): void =>
      settle(() => reject(new ExecutorError("CALL_CANCELLED", {}, { cause })));
    const stopWatching = watchBody(request, options.wheel, limits.bodyTimeoutMs, () =>
      fail(new ExecutorError("REQUEST_TIMEOUT", { reason: "the body came too slowly" })),
    );
    request.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onError);
  });
}

function memoryFull(): ExecutorError {
  return new ExecutorError("QUEUE_FULL", {
    reason: "the bodies of other requests fill the memory set aside for them",
  });
}
