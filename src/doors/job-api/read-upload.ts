import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import type { BusboyHeaders, BusboyInstance } from "@fastify/busboy";
import { Busboy } from "@fastify/busboy";
import type { WrittenArtifact } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { ApiRefusal, invalid } from "./api-refusal.ts";

/** The one part that counts. A form with many more is not one of our clients', and is not read to its end. */
const FIELD = "file";
const PARTS = 8;
const FIELD_BYTES = 64 * 1024;
const HEADER_PAIRS = 16;

/** Takes the bytes of a file, all or none. */
export type TakeFile = (contents: AsyncIterable<Uint8Array>) => Promise<WrittenArtifact>;

/**
 * Reads the one file of a `multipart/form-data` body while it arrives, and hands it on. What breaks off, is longer than allowed
 * or is no form rejects on the reading side too, so that nothing cut short is kept.
 *
 * @param take called at most once.
 * @throws {@link ApiRefusal} 422 where there is no such file, or more than one, or the body is no form, 413 for one that is too long, 400 for one
 * that breaks off; whatever `take` throws.
 */
export async function readUpload(
  request: IncomingMessage,
  maxBytes: number,
  take: TakeFile,
): Promise<WrittenArtifact> {
  const parser = openParser(request);
  let onClose = (): void => undefined;
  try {
    return await new Promise<WrittenArtifact>((resolve, reject) => {
      const state: { part?: Readable; taking?: Promise<WrittenArtifact>; failure?: Error } = {};
      let endForm: () => void = () => undefined;
      const formEnd = new Promise<void>((resolveEnd) => {
        endForm = resolveEnd;
      });
      const fail = (thrown: unknown): void => {
        if (state.failure !== undefined) return;
        const error = thrown instanceof Error ? thrown : ExecutorError.from(thrown);
        state.failure = error;
        state.part?.destroy(error);
        endForm();
        // Only once whoever took the file has let go of it.
        const letGo = (): void => reject(error);
        (state.taking ?? Promise.resolve()).then(letGo, letGo);
      };
      parser.on("file", (name, part) => {
        // The parser tells of a part that is cut short on the part alone, and then ends it as if it were whole.
        part.on("error", (cause: Error) => {
          // Whoever takes the file has let go of it, and says why.
          if (cause.name !== "AbortError")
            fail(cause instanceof ApiRefusal ? cause : malformed("the form breaks off", cause));
        });
        if (name !== FIELD || state.part !== undefined) {
          part.resume();
          if (name === FIELD) fail(invalid(["body", FIELD], "the form has more than one file"));
          return;
        }
        state.part = part;
        state.taking = take(bounded(part, maxBytes, state, formEnd));
        state.taking.catch(fail);
      });
      for (const limit of ["partsLimit", "filesLimit", "fieldsLimit"] as const)
        parser.on(limit, () => fail(malformed("the form has too many parts")));
      parser.on("error", (cause) => fail(malformed("the form is malformed", cause)));
      parser.on("finish", () => {
        endForm();
        if (state.taking === undefined)
          fail(invalid(["body", FIELD], "field required", "value_error.missing"));
        else state.taking.then(resolve, fail);
      });
      onClose = () => {
        if (!request.complete) fail(new ApiRefusal(400, "the request broke off"));
      };
      request.once("close", onClose);
      request.pipe(parser);
    });
  } finally {
    request.off("close", onClose);
    request.unpipe(parser);
  }
}

function openParser(request: IncomingMessage): BusboyInstance {
  const type = request.headers["content-type"] ?? "";
  if (!/^multipart\/form-data\s*;/i.test(type))
    throw invalid(["body", FIELD], "field required", "value_error.missing");
  try {
    return new Busboy({
      headers: { ...request.headers, "content-type": type } satisfies BusboyHeaders,
      limits: {
        files: PARTS,
        fields: PARTS,
        parts: PARTS,
        fieldSize: FIELD_BYTES,
        headerPairs: HEADER_PAIRS,
      },
    });
  } catch (cause) {
    throw malformed("the form has no boundary", cause);
  }
}

async function* bounded(
  part: AsyncIterable<Uint8Array>,
  maxBytes: number,
  state: { readonly failure?: Error },
  formEnd: Promise<void>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0;
  for await (const chunk of part) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw new ApiRefusal(413, `the input is longer than ${maxBytes} bytes`);
    yield chunk;
  }
  // What comes behind the file may still be a fault, and then the file is not kept.
  await formEnd;
  if (state.failure !== undefined) throw state.failure;
}

function malformed(msg: string, cause?: unknown): ApiRefusal {
  return new ApiRefusal(422, [{ loc: ["body"], msg, type: "value_error" }], { cause });
}
