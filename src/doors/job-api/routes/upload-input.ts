import type { FastifyInstance } from "fastify";
import { eventOf, INPUT_FILE, writeRequestEntry } from "../../../contract/executer-tracker/index.ts";
import type { BookedTask } from "../../../core/index.ts";
import { isBookedEnd } from "../../../core/index.ts";
import { sendJson } from "../answer.ts";
import type { ApiParts } from "../api-options.ts";
import { ApiRefusal } from "../api-refusal.ts";
import { readUpload } from "../read-upload.ts";
import { streamOf } from "../stream-name.ts";
import { findTask } from "./find-task.ts";

/** `POST /tasks/{task_id}/input`: stores the archive, then puts the request on its stream. */
export function uploadInput(app: FastifyInstance, parts: ApiParts): void {
  const { arriving } = parts;
  app.post("/tasks/:task_id/input", async (request, reply) => {
    const task = await findTask(parts, request);
    if (isBookedEnd(task.status)) throw new ApiRefusal(409, "The task is over");
    if (task.status !== "pending-input" || arriving.has(task.id))
      throw new ApiRefusal(409, "The input of this task has been uploaded, or is being uploaded");
    arriving.add(task.id);
    try {
      const { store, limits, signal } = parts;
      const write = { maxBytes: limits.uploadBytes };
      const key = `${task.taskDir}/${INPUT_FILE}`;
      await readUpload(request.raw, limits.uploadBytes, (contents) =>
        store.write(key, contents, write, signal),
      );
      await enqueue(parts, task);
    } finally {
      arriving.delete(task.id);
    }
    return sendJson(reply, 200, { id: task.id, status: "submitted" });
  });
}

async function enqueue({ producer, book, ...parts }: ApiParts, { id }: BookedTask): Promise<void> {
  // It may have been killed while its input arrived.
  const task = await book.task(id);
  if (task?.status !== "pending-input") throw new ApiRefusal(409, "The task is over");
  const { method, taskDir, executerType, pool } = task;
  const at = parts.timestamp();
  const stream = streamOf(executerType, pool);
  const fields = writeRequestEntry({ id, task_dir: taskDir, method, executer_type: executerType });
  const event = eventOf("TaskInputUploaded", { timestamp: at, id, status: "submitted" });
  const entryId = await producer.enqueue({ stream, fields }, event);
  await book.apply([{ type: "news", id, news: { type: "input", at, entry: { stream, entryId } } }]);
}
