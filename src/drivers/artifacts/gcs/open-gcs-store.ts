import { randomUUID } from "node:crypto";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type * as Library from "@google-cloud/storage";
import type { File, Storage } from "@google-cloud/storage";
import type { ArtifactKey, ArtifactStore, OpenArtifact, WrittenArtifact } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { orAbort } from "../../../std/index.ts";
import { segmentsOf } from "../check-key.ts";
import { inPieces, resumed } from "../pieces.ts";
import { bytesOf, measure, openPlainFile, saveAs } from "../transfer.ts";
import { gcsFailure } from "./failure.ts";

/** Where a store lies; without a bucket, the first segment of each key is one. */
export interface GcsLocation {
  readonly bucket: string | undefined;
  readonly prefix: string;
}

export interface GcsStoreOptions {
  /** Another server than Google's, which is asked without credentials: for tests. */
  readonly endpoint?: string;
  readonly firstPauseMs?: number;
}

/** Requests are tried again by the library: so often, and so long. */
const RETRIES = 4;
const RETRY_S = 120;
/** An upload goes in pieces of this size, of which one is in memory. */
const PIECE_BYTES = 8 * 2 ** 20;

/**
 * Opens a store in Google Cloud Storage, with Google's usual lookup of credentials. Its library is an optional dependency and
 * is loaded here and nowhere else.
 *
 * @throws {@link ExecutorError} CONFIG_INVALID when the library is not installed.
 */
export async function openGcsStore(
  location: GcsLocation,
  setting: string,
  options: GcsStoreOptions = {},
): Promise<ArtifactStore> {
  const storage = await loadStorage(setting, options);
  const name = `gs://${[location.bucket, location.prefix].filter(Boolean).join("/")}`;
  const fileOf = (key: ArtifactKey): File => {
    const { bucket, path } = addressOf(location, key);
    return storage.bucket(bucket).file(path);
  };
  const ask = async <T>(
    key: ArtifactKey,
    signal: AbortSignal,
    work: (file: File) => Promise<T>,
  ): Promise<T> => {
    const file = fileOf(key);
    signal.throwIfAborted();
    try {
      return await orAbort(work(file), signal);
    } catch (error) {
      throw signal.aborted ? signal.reason : gcsFailure(error, { store: name, key });
    }
  };
  const parts: Parts = { name, ask, fileOf };
  return {
    name,
    uriOf: (key) => {
      const { bucket, path } = addressOf(location, key);
      return `gs://${bucket}/${path}`;
    },
    info: async (key, signal) => infoOf(parts, key, signal),
    ...transfers(parts),
    move: async (from, to, signal) => move(parts, from, to, signal),
    remove: async (key, signal) => {
      await ask(key, signal, (file) => file.delete({ ignoreNotFound: true }));
    },
    check: async (signal) => check(storage, location, name, signal),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

interface Parts {
  readonly name: string;
  readonly fileOf: (key: ArtifactKey) => File;
  readonly ask: <T>(key: ArtifactKey, signal: AbortSignal, work: (file: File) => Promise<T>) => Promise<T>;
}

async function loadStorage(setting: string, options: GcsStoreOptions): Promise<Storage> {
  let library: typeof Library;
  try {
    library = await import("@google-cloud/storage");
  } catch (error) {
    const reason = "gs:// needs the package @google-cloud/storage, which is not installed";
    throw new ExecutorError("CONFIG_INVALID", { setting, reason }, { cause: error });
  }
  return new library.Storage({
    ...(options.endpoint === undefined ? {} : { apiEndpoint: options.endpoint, projectId: "none" }),
    retryOptions: {
      autoRetry: true,
      maxRetries: RETRIES,
      totalTimeout: RETRY_S,
      retryDelayMultiplier: 2,
      // Writes name the whole object each time, so that doing one twice is as doing it once.
      idempotencyStrategy: library.IdempotencyStrategy.RetryAlways,
    },
  });
}

/** @throws {@link ExecutorError} ARTIFACT_KEY_INVALID. */
function addressOf(
  { bucket, prefix }: GcsLocation,
  key: ArtifactKey,
): { readonly bucket: string; readonly path: string } {
  const segments = segmentsOf(key);
  const [first = "", ...rest] = bucket === undefined ? segments : [bucket, ...segments];
  if (rest.length === 0)
    throw new ExecutorError("ARTIFACT_KEY_INVALID", {
      key,
      reason: "it begins with a bucket, and names nothing in it",
    });
  return { bucket: first, path: [...(prefix === "" ? [] : [prefix]), ...rest].join("/") };
}

interface Found {
  readonly bytes: number;
  readonly modifiedAtMs: number;
  readonly generation: string | number | undefined;
}

async function found(parts: Parts, key: ArtifactKey, signal: AbortSignal): Promise<Found> {
  const [{ size, updated, generation }] = await parts.ask(key, signal, (file) => file.getMetadata());
  return { bytes: Number(size ?? 0), modifiedAtMs: Date.parse(updated ?? "") || 0, generation };
}

async function infoOf(
  parts: Parts,
  key: ArtifactKey,
  signal: AbortSignal,
): ReturnType<ArtifactStore["info"]> {
  try {
    const { bytes, modifiedAtMs } = await found(parts, key, signal);
    return { bytes, modifiedAtMs };
  } catch (error) {
    if (error instanceof ExecutorError && error.code === "ARTIFACT_NOT_FOUND") return undefined;
    throw error;
  }
}

function transfers(parts: Parts): Pick<ArtifactStore, "open" | "write" | "download" | "upload"> {
  const open: ArtifactStore["open"] = async (key, range, signal): Promise<OpenArtifact> => {
    const { bytes, modifiedAtMs } = await found(parts, key, signal);
    return {
      bytes,
      modifiedAtMs,
      contents: reading(parts, key, range?.start ?? 0, range?.end ?? bytes, signal),
    };
  };
  const write: ArtifactStore["write"] = async (key, contents, limits, signal): Promise<WrittenArtifact> => {
    const measured = measure(contents, limits, signal);
    const source = remembering(measured.contents);
    await parts
      .ask(key, signal, (file) => writeFile(file, source.contents, signal))
      .catch((error: unknown) => {
        // The source's own failure is none of the store's.
        throw source.failure()?.error ?? error;
      });
    return measured.written();
  };
  return {
    open,
    write,
    async download(key, toPath, limits, signal) {
      const { contents } = await open(key, undefined, signal);
      return saveAs(toPath, contents, limits, signal);
    },
    async upload(key, fromPath, signal) {
      await using file = await openPlainFile(fromPath);
      const maxBytes = Number.MAX_SAFE_INTEGER;
      return await write(key, bytesOf(file, 0, maxBytes), { maxBytes }, signal);
    },
  };
}

/** A short one goes in one request; of a long one nothing is seen before its last piece. */
async function writeFile(
  file: File,
  contents: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const pieces = inPieces(contents)[Symbol.asyncIterator]();
  const first = await pieces.next();
  const second = await pieces.next();
  const one = first.done === true ? Buffer.alloc(0) : first.value;
  if (second.done === true) return file.save(one, { resumable: false });
  const sink = file.createWriteStream({ resumable: true, chunkSize: PIECE_BYTES });
  return pipeline(resumed([one, second.value], pieces), sink, { signal });
}

/** Keeps how a source failed, which a stream reports as its own. */
function remembering(contents: AsyncIterable<Uint8Array>): {
  readonly contents: AsyncIterable<Uint8Array>;
  failure(): { readonly error: unknown } | undefined;
} {
  let failure: { readonly error: unknown } | undefined;
  const passing = async function* (): AsyncIterable<Uint8Array> {
    try {
      yield* contents;
    } catch (error) {
      failure = { error };
      throw error;
    }
  };
  return { contents: passing(), failure: () => failure };
}

async function* reading(
  parts: Parts,
  key: ArtifactKey,
  start: number,
  end: number,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  if (start >= end) return;
  const stream: Readable = parts.fileOf(key).createReadStream({ start, end: end - 1, decompress: false });
  const onAbort = (): void => void stream.destroy(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for await (const piece of stream as AsyncIterable<Uint8Array>) yield piece;
  } catch (error) {
    throw signal.aborted ? signal.reason : gcsFailure(error, { store: parts.name, key });
  } finally {
    signal.removeEventListener("abort", onAbort);
    stream.destroy();
  }
}

async function move(parts: Parts, from: ArtifactKey, to: ArtifactKey, signal: AbortSignal): Promise<void> {
  const target = parts.fileOf(to);
  if ((await infoOf(parts, from, signal)) === undefined) {
    // A try before this one may have come to its end without our hearing of it.
    if ((await infoOf(parts, to, signal)) === undefined)
      throw new ExecutorError("ARTIFACT_NOT_FOUND", { store: parts.name, key: from });
    return;
  }
  await parts.ask(from, signal, (file) => file.copy(target));
  await parts.ask(from, signal, (file) => file.delete({ ignoreNotFound: true }));
}

async function check(
  storage: Storage,
  { bucket, prefix }: GcsLocation,
  store: string,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  try {
    if (bucket === undefined) {
      await orAbort(storage.getBuckets({ maxResults: 1 }), signal);
      return;
    }
    const file = storage
      .bucket(bucket)
      .file([prefix, `.hearth-check-${randomUUID()}`].filter(Boolean).join("/"));
    await orAbort(file.save("x", { resumable: false }), signal);
    await orAbort(file.delete({ ignoreNotFound: true }), signal);
  } catch (error) {
    throw signal.aborted ? signal.reason : gcsFailure(error, { store, key: "" });
  }
}
