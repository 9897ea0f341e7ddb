import type { FastifyRequest } from "fastify";
import type { BookedTask } from "../../../core/index.ts";
import { isSafeSegment } from "../../../core/index.ts";
import type { ApiParts } from "../api-options.ts";
import { taskNotFound } from "../api-refusal.ts";

/** The task that a path names. @throws {@link ApiRefusal} 404. */
export async function findTask({ book }: ApiParts, request: FastifyRequest): Promise<BookedTask> {
  const { task_id: id } = request.params as { readonly task_id: string };
  const task = isSafeSegment(id) ? await book.task(id) : undefined;
  if (task === undefined) throw taskNotFound();
  return task;
}
