import { toProblem } from "../../../contract/problem.ts";
import type { PrefetchEvent } from "../../../contract/v1/images.ts";
import type { PullProgress } from "../../../core/index.ts";
import { withDeadline } from "../../../std/index.ts";
import { jsonEvents, wantedStream } from "../answer/event-streams.ts";
import { sendJson } from "../answer/send-json.ts";
import type { DoorParts } from "../parts.ts";
import type { RequestContext } from "../request-context.ts";
import { audit } from "./audit.ts";
import type { Handler } from "./handler.ts";

/** `POST /v1/images/prefetch`: waits, or shows progress where a stream is asked for. */
export const prefetch: Handler<"prefetch"> = async (parts, context, { body }) => {
  audit(parts, context, "prefetch", { image: body.image });
  const type = wantedStream(context);
  if (type === undefined) {
    const { digest, wasPulled, retired } = await fetchImage(parts, body.image, context.signal);
    sendJson(context.response, 200, { digest, wasPulled, retired });
    return;
  }
  await parts.streams.send(context, jsonEvents(type), (signal) => story(parts, context, body.image, signal));
};

export const listTasks: Handler<"listTasks"> = async ({ options }, { response }) => {
  sendJson(response, 200, { tasks: (await options.listTasks?.()) ?? [] });
};

function fetchImage(
  { executor }: DoorParts,
  image: string,
  parent: AbortSignal,
  onProgress: (progress: PullProgress) => void = () => undefined,
): ReturnType<DoorParts["executor"]["prefetch"]> {
  const ms = executor.settings().pullTimeoutMs;
  return withDeadline({ ms, code: "IMAGE_PULL_FAILED", facts: { image, afterMs: ms }, parent }, (signal) =>
    executor.prefetch(image, { onProgress }, signal),
  );
}

/** Progress as it stands whenever the client is ready for more, then the result. */
async function* story(
  parts: DoorParts,
  { runId }: RequestContext,
  image: string,
  signal: AbortSignal,
): AsyncGenerator<PrefetchEvent> {
  let latest: PullProgress | undefined;
  let wake: () => void = () => undefined;
  let last: PrefetchEvent | undefined;
  const fetching = fetchImage(parts, image, signal, (progress) => {
    latest = progress;
    wake();
  })
    .then(
      ({ digest, wasPulled, retired }) => {
        last = { type: "done", digest, wasPulled, retired };
      },
      (error: unknown) => {
        last = { type: "failed", problem: toProblem(error, runId) as never };
      },
    )
    .finally(() => wake());
  while (last === undefined) {
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    if (latest !== undefined) {
      const { doneBytes, totalBytes } = latest;
      latest = undefined;
      yield { type: "pulling", image, doneBytes, totalBytes };
    } else await woken;
  }
  await fetching;
  yield last;
}
