/** An object in a store, relative to its root: segments that `isSafeKey` allows, such as `users/7/k2p9/input.zip`. */
export type ArtifactKey = string;

/** What a store says of an object without reading it. */
export interface ArtifactInfo {
  readonly bytes: number;
  readonly modifiedAtMs: number;
}

/** An object that is being read; the figures are those of the whole of it, also where a part is read. */
export interface OpenArtifact extends ArtifactInfo {
  /** Its bytes, once; ending early closes the source, and what is never begun keeps it open. */
  readonly contents: AsyncIterable<Uint8Array>;
}

/** A part of an object, by bytes; `end` is exclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** What was written: the digest is of the bytes that were handed over, hexadecimal. */
export interface WrittenArtifact {
  readonly bytes: number;
  readonly sha256: string;
}

/** Where the bytes of a new object go, one piece after the other. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>;
}

/** An object that is being made in its place, unseen until it is published. Disposing it takes away what was not. */
export interface StagedArtifact extends ByteSink, AsyncDisposable {
  /** No more comes: all of it is safe, and still unseen. To be called once. */
  seal(): Promise<WrittenArtifact>;
  /** Gives it its name, in the place of what has that name. Safe to call again after a failure. */
  publish(): Promise<void>;
}

/** An object that is read where it lies; its path is good until it is disposed, and names it whatever takes its folder's place. */
export interface BorrowedArtifact extends AsyncDisposable {
  readonly path: string;
  readonly bytes: number;
  /** All of it, where that is little. */
  readonly whole?: Uint8Array | undefined;
}

/** The bounds of a write or a download. */
export interface WriteOptions {
  /** More than this is refused, and nothing is left. */
  readonly maxBytes: number;
}

/**
 * Files of jobs, by key. An object appears whole under its name or not at all: a reader never sees half of one, and what a
 * failed or cut write left is removed. Memory does not grow with an object's size. Every method retries what may pass by
 * itself, within a bounded budget, and rejects with the signal's reason once it aborts.
 *
 * @throws {@link ExecutorError} ARTIFACT_NOT_FOUND, ARTIFACT_KEY_INVALID, ARTIFACT_TOO_LARGE, ARTIFACT_STORE_DENIED (credentials),
 * ARTIFACT_STORE_UNAVAILABLE, DISK_FULL.
 */
export interface ArtifactStore extends AsyncDisposable {
  /** For people: scheme, bucket or path; no secrets. */
  readonly name: string;
  /** The object's URI, for those who read it elsewhere. */
  uriOf(key: ArtifactKey): string;
  info(key: ArtifactKey, signal: AbortSignal): Promise<ArtifactInfo | undefined>;
  open(key: ArtifactKey, range: ByteRange | undefined, signal: AbortSignal): Promise<OpenArtifact>;
  write(
    key: ArtifactKey,
    contents: AsyncIterable<Uint8Array>,
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<WrittenArtifact>;
  /** Copies into a new local file, which is removed again if this fails. */
  download(
    key: ArtifactKey,
    toPath: string,
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<WrittenArtifact>;
  /**
   * The object as a file of this host, without a copy; only stores that hold files of this host have it. It may change while it is
   * read, if whoever writes to the store changes it.
   */
  borrow?(key: ArtifactKey, options: WriteOptions, signal: AbortSignal): Promise<BorrowedArtifact>;
  /** Begins an object in its place; only stores where that spares a copy have it. */
  stage?(key: ArtifactKey, signal: AbortSignal): Promise<StagedArtifact>;
  /** Publishes a local file. */
  upload(key: ArtifactKey, fromPath: string, signal: AbortSignal): Promise<WrittenArtifact>;
  /**
   * Gives an object another name, in the place of what has that name: a rename where the store has one, else a copy within the
   * store and a removal. Safe to call again after a failure, when the source may be gone already and the target is there.
   *
   * @throws {@link ExecutorError} ARTIFACT_NOT_FOUND when there is neither.
   */
  move(from: ArtifactKey, to: ArtifactKey, signal: AbortSignal): Promise<void>;
  /** No error if there is none. */
  remove(key: ArtifactKey, signal: AbortSignal): Promise<void>;
  /** Whether it can be read and written now; for the start and for `doctor`. */
  check(signal: AbortSignal): Promise<void>;
}

/** What an archive may hold at most; all of it is counted as it is, not as the archive says. */
export interface ArchiveLimits {
  readonly entries: number;
  readonly totalBytes: number;
  /** Bytes unpacked for each byte of the archive, asked once the first mebibyte is out. */
  readonly ratio: number;
  readonly depth: number;
  /** Of each part of a name between slashes. */
  readonly nameBytes: number;
  readonly deadlineMs: number;
}

/** What was packed, and what was not. */
export interface PackReport {
  /** Of the files, before they were packed. */
  readonly bytes: number;
  readonly files: number;
  /** Links, devices, sockets and pipes that were left out, by their names in the folder; bounded. */
  readonly skipped: readonly string[];
  readonly skippedCount: number;
}

/** One entry, as its archive says. */
export interface ArchiveEntry {
  readonly name: string;
  readonly bytes: number;
  readonly compressedBytes: number;
}

/**
 * Reads and writes zip archives of strangers.
 *
 * @throws {@link ExecutorError} ARCHIVE_INVALID (damaged, encrypted, or an entry that reaches outside), ARCHIVE_TOO_LARGE,
 * DISK_FULL; the signal's reason.
 */
export interface Archiver {
  /**
   * Into a folder that is there, empty, and nobody else's before this resolves; after a rejection it is empty again. Plain files
   * and folders only.
   *
   * @param zip the path of an archive, or all of it.
   */
  unpack(
    zip: string | Uint8Array,
    intoDir: string,
    limits: ArchiveLimits,
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * The contents of a folder into a new file, or into what is given: folder entries with a trailing slash, none for the root, links never followed.
   * Names that no reader would take are escaped with `%`. A folder that is not there is empty.
   *
   * @param extra entries that are written if the folder does not have them: a name ending in `/` is an empty folder. What has the
   * name of one but is of the other kind, a folder for a file, is packed under another name, with a number behind it.
   */
  pack(
    dir: string,
    to: string | ByteSink,
    limits: ArchiveLimits,
    extra: Readonly<Record<string, Uint8Array>>,
    signal: AbortSignal,
  ): Promise<PackReport>;
  list(zipPath: string, limits: ArchiveLimits, signal: AbortSignal): Promise<readonly ArchiveEntry[]>;
  /** A new archive of the named files, each under the name given for it. @throws ARTIFACT_NOT_FOUND naming a missing one. */
  pick(
    zipPath: string,
    names: Readonly<Record<string, string>>,
    toZipPath: string,
    limits: ArchiveLimits,
    signal: AbortSignal,
  ): Promise<void>;
}
