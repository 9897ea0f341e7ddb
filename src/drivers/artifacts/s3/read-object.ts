import type { GetObjectCommandOutput } from "@aws-sdk/client-s3";
import { GetObjectCommand } from "@aws-sdk/client-s3";
import type { ByteRange, OpenArtifact } from "../../../core/index.ts";
import { sleep, withDeadline } from "../../../std/index.ts";
import { unavailable } from "./connection.ts";
import { mayPass, s3Failure } from "./failure.ts";
import type { Target } from "./target.ts";

/** Breaks in the middle of one object, at most; each is mended where it happened. */
const BREAKS = 5;
const PAUSE_MS = 200;

/** Opens an object. A connection that breaks while it is read is replaced by one that goes on at the same byte. */
export async function openObject(
  target: Target,
  store: string,
  range: ByteRange | undefined,
  signal: AbortSignal,
): Promise<OpenArtifact> {
  const first = await get(target, range?.start ?? 0, range?.end, undefined, signal);
  const total = totalBytes(first);
  const end = Math.min(range?.end ?? total, total);
  return {
    bytes: total,
    modifiedAtMs: first.LastModified?.getTime() ?? 0,
    contents: reading(target, store, first, range?.start ?? 0, end, signal),
  };
}

async function get(
  { connection, key, address }: Target,
  start: number,
  end: number | undefined,
  IfMatch: string | undefined,
  signal: AbortSignal,
): Promise<GetObjectCommandOutput> {
  // An empty object has no bytes to ask a part of.
  const part =
    start === 0 && end === undefined ? {} : { Range: `bytes=${start}-${end === undefined ? "" : end - 1}` };
  const input = { ...address, ...part, ...(IfMatch === undefined ? {} : { IfMatch }) };
  return connection.send(key, signal, (client, inner) =>
    client.send(new GetObjectCommand(input), { abortSignal: inner }),
  );
}

/** The whole object's size: of a part it is told in the range, as in `bytes 2-4/10`. */
function totalBytes({ ContentRange, ContentLength = 0 }: GetObjectCommandOutput): number {
  const total = Number(/\/(\d+)$/.exec(ContentRange ?? "")?.[1]);
  return Number.isSafeInteger(total) ? total : ContentLength;
}

async function* reading(
  target: Target,
  store: string,
  first: GetObjectCommandOutput,
  start: number,
  end: number,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  let at = start;
  let answer = first;
  for (let breaks = 0; ; breaks += 1) {
    try {
      for await (const piece of piecesOf(answer, target.connection.requestMs, signal)) {
        at += piece.length;
        yield piece;
      }
      if (at >= end) return;
      throw unavailable({ store, key: target.key, reason: "the object ended early" });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (at >= end) return;
      if (breaks >= BREAKS || !mayPass(error)) throw s3Failure(error, { store, key: target.key });
    }
    await sleep(PAUSE_MS * 2 ** breaks, signal);
    // Only of the same object: the second half of another one would be found by nobody.
    answer = await get(target, at, end, first.ETag, signal);
  }
}

/** A server that says nothing for `silenceMs` counts as gone. */
async function* piecesOf(
  answer: GetObjectCommandOutput,
  silenceMs: number,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  const body = answer.Body as (AsyncIterable<Uint8Array> & { destroy(error?: Error): void }) | undefined;
  if (body === undefined) return;
  const pieces = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const deadline = { ms: silenceMs, code: "ARTIFACT_STORE_UNAVAILABLE", parent: signal } as const;
      const next = await withDeadline(deadline, (inner) => {
        const onAbort = (): void => body.destroy(inner.reason as Error);
        inner.addEventListener("abort", onAbort, { once: true });
        return pieces.next().finally(() => inner.removeEventListener("abort", onAbort));
      });
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    body.destroy();
  }
}
