import type { FastifyInstance } from "fastify";
import { eventOf, KILL } from "../../../contract/executer-tracker/index.ts";
import type { BookedStatus, BookedTask } from "../../../core/index.ts";
import { isBookedEnd } from "../../../core/index.ts";
import { sendJson } from "../answer.ts";
import type { ApiParts } from "../api-options.ts";
import { findTask } from "./find-task.ts";

/**
 * `POST /tasks/{task_id}/kill`. A task that nobody has begun is over at once; one that somebody has is `pending-kill` until whoever
 * has it says that it is over; one that is over stays as it is.
 */
export function killTask(app: FastifyInstance, parts: ApiParts): void {
  app.post("/tasks/:task_id/kill", async (request, reply) => {
    const task = await findTask(parts, request);
    const status = await kill(parts, task);
    return sendJson(reply, 200, { id: task.id, status });
  });
}

async function kill(parts: ApiParts, task: BookedTask): Promise<BookedStatus> {
  if (isBookedEnd(task.status)) return task.status;
  if (await takeBack(parts, task)) return "killed";
  const { producer, book } = parts;
  const { id } = task;
  // The message goes out each time: what was sent before may be lost with its Redis, and a second one does no harm.
  await producer.command(id, KILL);
  if (task.status !== "pending-kill") {
    const timestamp = parts.timestamp();
    await producer.publish([eventOf("TaskKillRequested", { timestamp, id, status: "pending-kill" })]);
    await book.apply([{ type: "news", id, news: { type: "kill-asked" } }]);
  }
  return (await book.task(id))?.status ?? "pending-kill";
}

/** Ends a task that no host has: its input has not come, or its request still waits. */
async function takeBack({ producer, book, ...parts }: ApiParts, task: BookedTask): Promise<boolean> {
  const { id, status, entry } = task;
  const at = parts.timestamp();
  const detail = "killed before it was started";
  const event = eventOf("TaskKilled", { timestamp: at, id, status: "killed", detail });
  if (status === "pending-input" && !parts.arriving.has(id)) await producer.publish([event]);
  else if (status !== "submitted" || entry === undefined) return false;
  else if (!(await producer.withdraw(entry.stream, entry.entryId, event))) return false;
  await book.apply([{ type: "news", id, news: { type: "ended", at, status: "killed", detail } }]);
  return true;
}
