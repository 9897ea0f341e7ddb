import type { FastifyInstance } from "fastify";
import { shownStatus } from "../../../core/index.ts";
import { sendJson } from "../answer.ts";
import type { ApiParts } from "../api-options.ts";
import { findTask } from "./find-task.ts";

/** `GET /tasks/{task_id}/status`, which clients poll: a task that ran is seen as `started` before its end is seen. */
export function taskStatus(app: FastifyInstance, parts: ApiParts): void {
  app.get("/tasks/:task_id/status", async (request, reply) => {
    const task = await findTask(parts, request);
    const { status, showsStart } = shownStatus(task);
    if (showsStart && !task.hasShownStart)
      await parts.book.apply([{ type: "news", id: task.id, news: { type: "start-shown" } }]);
    return sendJson(reply, 200, { id: task.id, status });
  });
}
