import { createHash } from "node:crypto";
import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open, rm } from "node:fs/promises";
import type { WriteOptions, WrittenArtifact } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { orAbort } from "../../std/index.ts";

/** Bytes on their way, and what they came to so far. */
export interface Measured {
  readonly contents: AsyncIterable<Uint8Array>;
  written(): WrittenArtifact;
}

/** Passes bytes on, counted and digested; too many of them, or the signal, end it with an error. */
export function measure(
  contents: AsyncIterable<Uint8Array>,
  { maxBytes }: WriteOptions,
  signal: AbortSignal,
): Measured {
  const hash = createHash("sha256");
  let bytes = 0;
  const passing = async function* (): AsyncIterable<Uint8Array> {
    for await (const chunk of untilAborted(contents, signal)) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new ExecutorError("ARTIFACT_TOO_LARGE", { limitBytes: maxBytes });
      hash.update(chunk);
      yield chunk;
    }
  };
  return { contents: passing(), written: () => ({ bytes, sha256: hash.copy().digest("hex") }) };
}

/** Ends with the signal's reason also while its source says nothing. */
async function* untilAborted(
  contents: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  const source = contents[Symbol.asyncIterator]();
  let isOver = false;
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await orAbort(source.next(), signal);
      isOver = next.done === true;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // A source that hangs does so in its end too: it is told, and not waited for.
    if (!isOver) source.return?.().catch(() => undefined);
  }
}

/** Fills a new file of this host, which is removed again if that fails. */
export async function saveAs(
  path: string,
  contents: AsyncIterable<Uint8Array>,
  options: WriteOptions,
  signal: AbortSignal,
): Promise<WrittenArtifact> {
  const file = await open(path, "wx", 0o600);
  try {
    const measured = measure(contents, options, signal);
    for await (const chunk of measured.contents) await file.writeFile(chunk);
    await file.close();
    return measured.written();
  } catch (error) {
    // The first failure is the better one.
    await file.close().catch(() => undefined);
    await rm(path, { force: true });
    throw error;
  }
}

/** A file of this host, opened without following a link or waiting for a pipe. */
export async function openPlainFile(path: string): Promise<FileHandle> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new Error(`${path} is not a plain file`);
}

const PIECE_BYTES = 256 * 1024;

/** The bytes of an open file from `start` up to `end`; the file stays open. */
export async function* bytesOf(file: FileHandle, start: number, end: number): AsyncIterable<Uint8Array> {
  for (let at = start; at < end; ) {
    const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, end - at));
    const { bytesRead } = await file.read(piece, 0, piece.length, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield piece.subarray(0, bytesRead);
  }
}
