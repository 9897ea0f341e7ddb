import type { FastifyInstance } from "fastify";
import { OUTPUT_FILE } from "../../../contract/executer-tracker/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { sendJson } from "../answer.ts";
import type { ApiParts } from "../api-options.ts";
import { noOutputYet, withOutput } from "../output-copy.ts";
import { findTask } from "./find-task.ts";

/** `GET /tasks/{task_id}/output/list`: the size of the archive, and the files in it. */
export function listOutput(app: FastifyInstance, parts: ApiParts): void {
  const { archiver, archiveLimits, signal, store } = parts;
  app.get("/tasks/:task_id/output/list", async (request, reply) => {
    const { taskDir } = await findTask(parts, request);
    const key = `${taskDir}/${OUTPUT_FILE}`;
    const info = await store.info(key, signal);
    if (info === undefined) return noOutputYet(new ExecutorError("ARTIFACT_NOT_FOUND", { key }));
    const entries = await withOutput(parts, key, (zipPath) => archiver.list(zipPath, archiveLimits, signal));
    const contents = entries
      .filter((entry) => !entry.name.endsWith("/"))
      .map((entry) => ({ name: entry.name, size: entry.bytes, compressed_size: entry.compressedBytes }));
    return sendJson(reply, 200, { size: info.bytes, contents });
  });
}
