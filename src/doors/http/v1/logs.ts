import { JSON_TYPE, TEXT_TYPE } from "../../../contract/v1/route.ts";
import type { LogChunk } from "../../../contract/v1/sandboxes.ts";
import { withDeadline } from "../../../std/index.ts";
import { jsonEvents, wantedStream } from "../answer/event-streams.ts";
import { sendJson, sendText } from "../answer/send-json.ts";
import type { Handler } from "./handler.ts";

const TAIL_TIMEOUT_MS = 10_000;
const PLAIN = { contentType: `${TEXT_TYPE}; charset=utf-8`, print: (chunk: LogChunk) => chunk.text } as const;

/** `GET /v1/sandboxes/{sandboxId}/logs`. */
export const readLogs: Handler<"readLogs"> = async ({ executor, streams }, context, { params, query }) => {
  const { sandboxId } = params;
  if (query.follow) {
    const type = wantedStream(context);
    const format = type === undefined ? PLAIN : jsonEvents(type);
    await streams.send(context, format, (signal) => executor.followLog(sandboxId, query.tailBytes, signal));
    return;
  }
  const tail = await withDeadline(
    { ms: TAIL_TIMEOUT_MS, code: "ENGINE_UNAVAILABLE", parent: context.signal },
    (signal) => executor.tailLog(sandboxId, query.tailBytes, signal),
  );
  const { response, request } = context;
  if (request.headers.accept?.includes(JSON_TYPE) === true) sendJson(response, 200, tail);
  else {
    sendText(response, 200, tail.text, {
      "content-type": PLAIN.contentType,
      "Hearth-Log-Truncated": String(tail.isTruncated),
      "Hearth-Log-Ended": String(tail.hasEnded),
      "Hearth-Sandbox-Id": tail.sandboxId,
    });
  }
};
