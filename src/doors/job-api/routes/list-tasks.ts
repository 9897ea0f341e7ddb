import type { FastifyInstance } from "fastify";
import * as z from "zod";
import { taskStatus } from "../../../contract/executer-tracker/index.ts";
import { sendJson } from "../answer.ts";
import type { ApiParts } from "../api-options.ts";
import { parse } from "../parse-request.ts";
import { taskView } from "../task-view.ts";

const query = z.object({
  page: z.coerce.number().int().min(1).max(1_000_000).default(1),
  per_page: z.coerce.number().int().min(1).max(100).default(10),
  status: taskStatus.optional(),
});

/** `GET /tasks`: the newest first, page by page. */
export function listTasks(app: FastifyInstance, { book }: ApiParts): void {
  app.get("/tasks", async (request, reply) => {
    const { page, per_page: limit, status } = parse(query, request.query, "query");
    const tasks = await book.tasks({ status, skip: (page - 1) * limit, limit });
    const views = [];
    for (const task of tasks) {
      const executer = task.executerId === undefined ? undefined : await book.executer(task.executerId);
      views.push(taskView(task, executer));
    }
    return sendJson(reply, 200, views);
  });
}
