import { randomUUID } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { eventOf } from "../../../contract/executer-tracker/index.ts";
import { sendJson } from "../answer.ts";
import type { ApiParts } from "../api-options.ts";
import { USER_ID } from "./submit-task.ts";

/** `POST /executers/pools`: 201 and the id of a new pool. Tasks that name it wait for hosts that registered with it. */
export function createPool(app: FastifyInstance, parts: ApiParts): void {
  app.post("/executers/pools", async (_request, reply) => {
    const uuid = randomUUID();
    const timestamp = parts.timestamp();
    await parts.producer.publish([
      eventOf("ResourcePoolCreated", { timestamp, uuid, created_by: String(USER_ID) }),
    ]);
    await parts.book.apply([{ type: "pool", uuid }]);
    return sendJson(reply, 201, { id: uuid });
  });
}
