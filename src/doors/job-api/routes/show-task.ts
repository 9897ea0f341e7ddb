import type { FastifyInstance } from "fastify";
import { sendJson } from "../answer.ts";
import type { ApiParts } from "../api-options.ts";
import { taskView } from "../task-view.ts";
import { findTask } from "./find-task.ts";

/** `GET /tasks/{task_id}`: everything that is known of one task, as it is. */
export function showTask(app: FastifyInstance, parts: ApiParts): void {
  app.get("/tasks/:task_id", async (request, reply) => {
    const task = await findTask(parts, request);
    const executer = task.executerId === undefined ? undefined : await parts.book.executer(task.executerId);
    return sendJson(reply, 200, taskView(task, executer));
  });
}
