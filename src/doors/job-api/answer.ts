import type { FastifyReply } from "fastify";

/**
 * Sends JSON. Bytes and not an object: for an object the framework adds a character set to the type, and the clients of 2023
 * compare the whole header (`contracts/executer-tracker.md` 8.1).
 */
export function sendJson(reply: FastifyReply, status: number, value: unknown): FastifyReply {
  return reply
    .code(status)
    .header("content-type", "application/json")
    .send(Buffer.from(JSON.stringify(value)));
}
