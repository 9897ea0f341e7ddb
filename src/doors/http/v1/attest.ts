import { JSON_TYPE } from "../../../contract/v1/route.ts";
import type { TaskSpec } from "../../../core/index.ts";
import { StreamedAnswer } from "../calls/stream-answer.ts";
import { EVIDENCE_PATH } from "../calls/task-request.ts";
import { toTask } from "../calls/to-task.ts";
import { AttestationAnswer } from "./attestation-answer.ts";
import type { Handler } from "./handler.ts";

const NO_BODY = Buffer.alloc(0);

/** `POST /v1/attest`: a server's evidence, and a session in which that server is met again. */
export const attest: Handler<"attest"> = ({ executor }, context, { query }) => {
  const task: TaskSpec = toTask({ ...query, session: undefined }, executor);
  const { queueTimeoutMs, runTimeoutMs } = query;
  const accept = context.request.headers.accept ?? "";
  const sink = accept.includes(JSON_TYPE) ? new AttestationAnswer(context) : new StreamedAnswer(context);
  const request = {
    method: "GET",
    path: query.path ?? EVIDENCE_PATH,
    contentType: "",
    headers: [["Hearth-Run-Id", context.runId] as const],
    body: NO_BODY,
  } as const;
  const options = {
    door: "http",
    runId: context.runId,
    session: { type: "open" },
    // Nobody could use the session.
    onCancel: "close",
    ...(queueTimeoutMs === undefined ? {} : { queueTimeoutMs }),
    ...(runTimeoutMs === undefined ? {} : { runTimeoutMs }),
  } as const;
  context.nameRun();
  sink.attach(executor.call(task, request, options, sink));
};
