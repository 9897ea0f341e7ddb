import { randomBytes } from "node:crypto";
import type { FastifyInstance } from "fastify";
import * as z from "zod";
import { eventOf, executerTypeOf } from "../../../contract/executer-tracker/index.ts";
import { sendJson } from "../answer.ts";
import type { ApiParts } from "../api-options.ts";
import { ApiRefusal } from "../api-refusal.ts";
import { newTask, taskDirOf } from "../event-changes.ts";
import { parseBody } from "../parse-request.ts";

/** There is one user here: whoever has the key. */
export const USER_ID = 1;
/** 100 bits as lower-case letters and digits: ids name folders, also where case does not count. */
const ID_BYTES = 13;

const submission = z.object({
  method: z.string().min(1).max(256),
  params: z.record(z.string(), z.unknown()),
  resource_pool: z.uuid().nullish(),
});

/** `POST /tasks/submit`: 202 and an id, to which the input is then sent. */
export function submitTask(app: FastifyInstance, parts: ApiParts): void {
  const { book, producer, methodTypes } = parts;
  app.post("/tasks/submit", async (request, reply) => {
    const { method, resource_pool } = parseBody(submission, request.body);
    const pool = resource_pool ?? undefined;
    const executerType = executerTypeOf(method, methodTypes);
    if (executerType === undefined) throw new ApiRefusal(400, `Unknown method: ${method}`);
    if (pool !== undefined && !(await book.hasPool(pool)))
      throw new ApiRefusal(400, `Unknown resource pool: ${pool}`);
    const id = newTaskId();
    const taskDir = taskDirOf(USER_ID, id);
    const createTime = parts.timestamp();
    const status = "pending-input";
    // The fields beside the contract's let an API that lost its book build it again.
    const extra = {
      task_dir: taskDir,
      executer_type: executerType,
      ...(pool === undefined ? {} : { resource_pool: pool }),
    };
    await producer.publish([
      eventOf("TaskCreated", { timestamp: createTime, id, status, method, user_id: USER_ID, ...extra }),
    ]);
    const task = newTask({ id, method, taskDir, executerType, pool, createTime });
    await book.apply([{ type: "create", task }]);
    return sendJson(reply, 202, { id, status });
  });
}

function newTaskId(): string {
  return BigInt(`0x${randomBytes(ID_BYTES).toString("hex")}`)
    .toString(36)
    .padStart(21, "0");
}
