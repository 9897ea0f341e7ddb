import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { FastifyInstance } from "fastify";
import * as z from "zod";
import { OUTPUT_FILE } from "../../../contract/executer-tracker/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { ApiParts } from "../api-options.ts";
import { ApiRefusal } from "../api-refusal.ts";
import { noOutputYet, withOutput } from "../output-copy.ts";
import { parse } from "../parse-request.ts";
import { findTask } from "./find-task.ts";

const NAMES = 1000;
const ARTIFACTS = "artifacts/";

const name = z.string().min(1).max(1024);
const query = z.object({
  filename: z.union([name.transform((one) => [one]), z.array(name).max(NAMES)]).default([]),
});

/**
 * `GET /tasks/{task_id}/output`: the whole archive, or with `filename` a new one of just those artifacts at its root. There is no
 * `Content-Disposition`: clients would make a file name of it.
 */
export function getOutput(app: FastifyInstance, parts: ApiParts): void {
  app.get("/tasks/:task_id/output", async (request, reply) => {
    const { filename } = parse(query, request.query, "query");
    const { taskDir } = await findTask(parts, request);
    const key = `${taskDir}/${OUTPUT_FILE}`;
    const { bytes, contents } =
      filename.length === 0
        ? await whole(parts, key)
        : await withOutput(parts, key, (zipPath) => part(parts, zipPath, filename));
    return reply
      .header("content-type", "application/octet-stream")
      .header("content-length", bytes)
      .send(contents);
  });
}

interface Archive {
  readonly bytes: number;
  readonly contents: Readable;
}

async function whole({ store, signal }: ApiParts, key: string): Promise<Archive> {
  const { bytes, contents } = await store.open(key, undefined, signal).catch(noOutputYet);
  return { bytes, contents: Readable.from(contents, { objectMode: false }) };
}

async function part(
  { archiver, archiveLimits, tempDir, signal }: ApiParts,
  zipPath: string,
  names: readonly string[],
): Promise<Archive> {
  const path = join(tempDir, `${randomUUID()}.zip`);
  // The names of a list begin with `artifacts/`, those that people write do not.
  const wanted = names.map((one) => (one.startsWith(ARTIFACTS) ? one.slice(ARTIFACTS.length) : one));
  const picked = Object.fromEntries(wanted.map((one) => [`${ARTIFACTS}${one}`, one]));
  try {
    await archiver.pick(zipPath, picked, path, archiveLimits, signal).catch((error: unknown) => {
      if (ExecutorError.from(error).code !== "ARTIFACT_NOT_FOUND") throw error;
      throw new ApiRefusal(404, "The output has no such file", { cause: error });
    });
    const { size } = await stat(path);
    const contents = createReadStream(path);
    await once(contents, "open");
    return { bytes: size, contents };
  } finally {
    // It is open: its bytes stay until they are sent.
    await rm(path, { force: true });
  }
}
