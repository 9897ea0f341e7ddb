import { randomUUID } from "node:crypto";
import type { FastifyInstance } from "fastify";
import * as z from "zod";
import { DEFAULT_GROUP, eventOf, registrationRequest } from "../../../contract/executer-tracker/index.ts";
import { isSafeSegment } from "../../../core/index.ts";
import { sendJson } from "../answer.ts";
import type { ApiParts } from "../api-options.ts";
import { executerOf } from "../event-changes.ts";
import { parseBody } from "../parse-request.ts";
import { streamOf } from "../stream-name.ts";

export const REGISTER_PATH = "/executers/register";

/** What one host may bring: each type becomes a stream, and whoever registers has no key. */
const TYPES = 256;

const request = registrationRequest.extend({
  supported_executer_types: z
    .array(z.string().refine(isSafeSegment, "must be letters, digits, dots, underscores and hyphens"))
    .min(1)
    .max(TYPES),
});

/** `POST /executers/register`: 202 and where the host's requests will come from. It needs no key: hosts of 2023 send none. */
export function registerExecuter(app: FastifyInstance, parts: ApiParts): void {
  const { book, producer } = parts;
  app.post(REGISTER_PATH, async ({ body }, reply) => {
    const info = parseBody(request, body);
    const uuid = randomUUID();
    const pool = info.resource_pool_id ?? undefined;
    const streams = [...new Set(info.supported_executer_types)].map((type) => streamOf(type, pool));
    await producer.openGroups(streams, DEFAULT_GROUP);
    const timestamp = parts.timestamp();
    await producer.publish([eventOf("ExecuterCreated", { timestamp, uuid, executer_info: info })]);
    await book.apply([{ type: "executer", executer: executerOf(uuid, info) }]);
    return sendJson(reply, 202, {
      uuid,
      redis_streams: streams,
      redis_consumer_group: DEFAULT_GROUP,
      redis_consumer_name: uuid,
    });
  });
}
