import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { lstat, open, rename, rm } from "node:fs/promises";
import type { ArtifactKey, ArtifactStore, OpenArtifact, WrittenArtifact } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { Scope } from "../../../std/index.ts";
import { segmentsOf } from "../check-key.ts";
import { bytesOf, measure, openPlainFile, saveAs } from "../transfer.ts";
import { borrowingFrom } from "./borrow.ts";
import { codeOf, localFailure } from "./failure.ts";
import type { OpenFolder } from "./folders.ts";
import { inside, openFolder, openRootFolder } from "./folders.ts";
import { halfIn, publish } from "./publish.ts";
import { stagingIn } from "./stage.ts";
import { sweepAll } from "./sweep.ts";

export interface LocalStoreOptions {
  /** When a half-written file counts as left behind; an hour if this is left out. */
  readonly staleAfterMs?: number;
}

const HOUR_MS = 3_600_000;
const SWEPT_NAMES = 1_000_000;
const PLAIN = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Opens a store in a folder of this host, which may be shared with others. The folder is opened once, and no link inside it is
 * ever followed. What dead writers left is swept behind the caller's back; disposing ends that.
 *
 * @throws {@link ExecutorError} CONFIG_INVALID when the folder is not there or cannot be read.
 */
export async function openLocalStore(
  path: string,
  setting: string,
  options: LocalStoreOptions = {},
): Promise<ArtifactStore> {
  const root = await openRoot(path, setting);
  const scope = new Scope();
  scope.defer(() => root.close());
  scope.spawn(async (signal) => {
    const staleAfterMs = options.staleAfterMs ?? HOUR_MS;
    // A sweep that fails leaves files that no key names: nobody's work is hurt, and the next start tries again.
    await sweepAll(root, { staleAfterMs, maxNames: SWEPT_NAMES, nowMs: Date.now }, signal).catch(
      () => undefined,
    );
  });
  return {
    name: path,
    uriOf: (key) => `file://${path.replace(/\/+$/, "")}/${segmentsOf(key).join("/")}`,
    ...readingFrom(root),
    ...borrowingFrom(root),
    ...writingTo(root),
    ...stagingIn(root),
    check: (signal) => check(root, signal),
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}

async function openRoot(path: string, setting: string): Promise<OpenFolder> {
  try {
    return await openRootFolder(path);
  } catch (error) {
    const reason = codeOf(error) === "ENOENT" ? "there is no such folder" : codeOf(error);
    throw new ExecutorError("CONFIG_INVALID", { setting, reason, path }, { cause: error });
  }
}

function readingFrom(root: OpenFolder): Pick<ArtifactStore, "info" | "open" | "download"> {
  const openFile = (key: ArtifactKey): Promise<FileHandle> =>
    withFolder(root, key, false, async (folder, name) => {
      const file = await open(inside(folder, name), PLAIN);
      if ((await file.stat()).isFile()) return file;
      await file.close();
      throw notPlain(key);
    });
  const openArtifact: ArtifactStore["open"] = async (key, range, signal): Promise<OpenArtifact> => {
    signal.throwIfAborted();
    const file = await openFile(key);
    const { size, mtimeMs } = await file.stat();
    return {
      bytes: size,
      modifiedAtMs: mtimeMs,
      contents: reading(file, range?.start ?? 0, range?.end ?? size, signal),
    };
  };
  return {
    async info(key, signal) {
      signal.throwIfAborted();
      try {
        await using file = await openFile(key);
        const { size, mtimeMs } = await file.stat();
        return { bytes: size, modifiedAtMs: mtimeMs };
      } catch (error) {
        if (error instanceof ExecutorError && error.code === "ARTIFACT_NOT_FOUND") return undefined;
        throw error;
      }
    },
    open: openArtifact,
    async download(key, toPath, limits, signal) {
      const { contents } = await openArtifact(key, undefined, signal);
      return saveAs(toPath, contents, limits, signal).catch((error: unknown) => {
        throw localFailure(error, key);
      });
    },
  };
}

async function* reading(
  handle: FileHandle,
  start: number,
  end: number,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  await using file = handle;
  for await (const piece of bytesOf(file, start, end)) {
    signal.throwIfAborted();
    yield piece;
  }
}

function writingTo(root: OpenFolder): Pick<ArtifactStore, "write" | "upload" | "move" | "remove"> {
  const write: ArtifactStore["write"] = async (key, contents, limits, signal): Promise<WrittenArtifact> => {
    signal.throwIfAborted();
    return withFolder(root, key, true, (folder, name) =>
      publish(folder, name, async (file) => {
        const measured = measure(contents, limits, signal);
        for await (const chunk of measured.contents) await file.writeFile(chunk);
        signal.throwIfAborted();
        return measured.written();
      }),
    );
  };
  return {
    write,
    async upload(key, fromPath, signal) {
      await using file = await openPlainFile(fromPath);
      const maxBytes = Number.MAX_SAFE_INTEGER;
      return await write(key, bytesOf(file, 0, maxBytes), { maxBytes }, signal);
    },
    async move(from, to, signal) {
      signal.throwIfAborted();
      await withFolder(root, to, true, async (folder, name) => {
        try {
          await moveFile(root, from, folder, name);
        } catch (error) {
          const isGone = error instanceof ExecutorError && error.code === "ARTIFACT_NOT_FOUND";
          // A try before this one may have done it.
          if (!isGone || !(await isPlainFile(inside(folder, name)))) throw error;
        }
      });
    },
    async remove(key, signal) {
      signal.throwIfAborted();
      try {
        await withFolder(root, key, false, async (folder, name) => {
          await rm(inside(folder, name));
          await folder.sync();
        });
      } catch (error) {
        if (!(error instanceof ExecutorError) || error.code !== "ARTIFACT_NOT_FOUND") throw error;
      }
    },
  };
}

async function moveFile(
  root: OpenFolder,
  from: ArtifactKey,
  folder: OpenFolder,
  name: string,
): Promise<void> {
  await withFolder(root, from, false, async (fromFolder, fromName) => {
    const path = inside(fromFolder, fromName);
    if (!(await lstat(path)).isFile()) throw notPlain(from);
    await rename(path, inside(folder, name));
    await folder.sync();
    await fromFolder.sync();
  });
}

async function isPlainFile(path: string): Promise<boolean> {
  // Whatever keeps us from asking, it is not known to be one.
  return lstat(path).then(
    (stats) => stats.isFile(),
    () => false,
  );
}

const notPlain = (key: ArtifactKey): ExecutorError =>
  new ExecutorError("ARTIFACT_KEY_INVALID", { key, reason: "it is not a plain file" });

async function withFolder<T>(
  root: OpenFolder,
  key: ArtifactKey,
  isMade: boolean,
  work: (folder: OpenFolder, name: string) => Promise<T>,
): Promise<T> {
  const segments = segmentsOf(key);
  try {
    await using folder = await openFolder(root, segments.slice(0, -1), isMade);
    return await work(folder, segments.at(-1) ?? "");
  } catch (error) {
    throw localFailure(error, key);
  }
}

/** Writes a byte and takes it away again. */
async function check(root: OpenFolder, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const half = halfIn(root);
  try {
    await using file = await open(half, "wx");
    await file.writeFile("x");
    await file.sync();
  } catch (error) {
    throw localFailure(error, "");
  } finally {
    await rm(half, { force: true });
  }
}
