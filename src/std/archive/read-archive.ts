import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { addAbortSignal } from "node:stream";
import { crc32, inflateRawSync } from "node:zlib";
import type { Entry, ZipFile } from "yauzl";
import { fromBufferPromise, fromFdPromise, getFileNameLowLevel } from "yauzl";
import type { ArchiveLimits } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { Budget } from "./budget.ts";
import type { EntryName } from "./entry-name.ts";
import { parseEntryName, shown } from "./entry-name.ts";
import { openNameBook } from "./name-book.ts";

/** One entry that has passed: a plain file or a folder with a name that stays inside. */
export interface ArchiveMember extends EntryName {
  readonly entry: Entry;
}

/** An archive whose directory was read and found fit. */
export interface OpenArchive extends AsyncDisposable {
  readonly bytes: number;
  readonly members: readonly ArchiveMember[];
  /** Whether the file is still the one that was opened, as far as its size and times tell. */
  isUnchanged(): Promise<boolean>;
  /** The bytes of a file, counted against the budget and held against its checksum. */
  contents(member: ArchiveMember, budget: Budget, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** @throws {@link ExecutorError} ARCHIVE_INVALID where two entries share bytes, or an entry is called otherwise in its place. */
  checkPlaces(signal: AbortSignal): Promise<void>;
}

/** One that is no larger is read at once, into memory: each look at a file is a journey to another thread. */
const WHOLE_BYTES = 64 * 1024;

/**
 * Opens an archive, a file or one that is in memory already, and judges all that its directory says. Nothing of its contents is
 * read yet.
 *
 * @throws {@link ExecutorError} ARCHIVE_INVALID, ARCHIVE_TOO_LARGE; yauzl's plain errors for a damaged one.
 */
export async function openArchive(
  from: string | Uint8Array,
  limits: ArchiveLimits,
  signal: AbortSignal,
): Promise<OpenArchive> {
  if (typeof from === "string") return await openFile(from, limits, signal);
  const whole = Buffer.from(from.buffer, from.byteOffset, from.byteLength);
  return await openWhole(whole, () => Promise.resolve(), limits, signal);
}

async function openFile(path: string, limits: ArchiveLimits, signal: AbortSignal): Promise<OpenArchive> {
  // Never blocks: whatever else stands under this name, such as a pipe, is refused below.
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const before = await handle.stat();
    if (!before.isFile()) throw new ExecutorError("ARCHIVE_INVALID", { reason: "it is not a file" });
    if (before.size <= WHOLE_BYTES) {
      const whole = await readWhole(handle, before.size);
      return await openWhole(whole, () => handle.close(), limits, signal);
    }
    const zip = await fromFdPromise(handle.fd, YAUZL);
    const members = await readDirectory(zip, limits, signal);
    return {
      bytes: before.size,
      members,
      async isUnchanged() {
        const now = await handle.stat();
        return now.size === before.size && now.mtimeMs === before.mtimeMs;
      },
      contents: (member, budget, readSignal) => contentsOf(zip, member, budget, readSignal),
      async checkPlaces(readSignal) {
        await checkPlaces(zip, members, readSignal);
      },
      [Symbol.asyncDispose]: () => handle.close(),
    };
  } catch (error) {
    await closeQuietly(handle);
    throw error;
  }
}

const YAUZL = { autoClose: false, decodeStrings: false } as const;

async function openWhole(
  whole: Buffer,
  close: () => Promise<void>,
  limits: ArchiveLimits,
  signal: AbortSignal,
): Promise<OpenArchive> {
  const zip = await fromBufferPromise(whole, YAUZL);
  const members = await readDirectory(zip, limits, signal);
  /** Where the bytes of each begin, once that has been looked at. */
  let places: ReadonlyMap<ArchiveMember, number> = new Map();
  return {
    bytes: whole.length,
    members,
    isUnchanged: () => Promise.resolve(true),
    contents(member, budget, readSignal) {
      const at = places.get(member);
      const isSmall = member.entry.uncompressedSize <= WHOLE_BYTES;
      return at !== undefined && isSmall
        ? smallContents(whole, at, member, budget)
        : contentsOf(zip, member, budget, readSignal);
    },
    async checkPlaces(readSignal) {
      places = await checkPlaces(zip, members, readSignal);
    },
    [Symbol.asyncDispose]: close,
  };
}

/** As much of it as there is: an archive that was cut meanwhile is a damaged one. */
async function readWhole(handle: FileHandle, bytes: number): Promise<Buffer> {
  const whole = Buffer.allocUnsafe(bytes);
  let filled = 0;
  while (filled < bytes) {
    const { bytesRead } = await handle.read(whole, filled, bytes - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return whole.subarray(0, filled);
}

async function closeQuietly(handle: FileHandle): Promise<void> {
  // What made us give up is the better error.
  await handle.close().catch(() => undefined);
}

async function readDirectory(
  zip: ZipFile,
  limits: ArchiveLimits,
  signal: AbortSignal,
): Promise<readonly ArchiveMember[]> {
  if (zip.entryCount > limits.entries)
    throw new ExecutorError("ARCHIVE_TOO_LARGE", {
      reason: "too many entries",
      limit: limits.entries,
      entries: zip.entryCount,
    });
  const members: ArchiveMember[] = [];
  const book = openNameBook();
  let declaredBytes = 0;
  for await (const entry of zip.eachEntry()) {
    signal.throwIfAborted();
    const name = parseEntryName(nameOf(entry), limits);
    checkKind(entry, name);
    declaredBytes += entry.uncompressedSize;
    if (declaredBytes > limits.totalBytes)
      throw new ExecutorError("ARCHIVE_TOO_LARGE", { limitBytes: limits.totalBytes });
    if (name.segments.length === 0) continue;
    book.add(name);
    members.push({ ...name, entry });
  }
  return members;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const NAME_IS_UTF8 = 0x0800;
const UNICODE_PATH = 0x7075;

/**
 * Names are decoded here and not by yauzl, which would turn a backslash into a slash before anybody saw it. Info-ZIP on Linux
 * writes UTF-8 without saying so, and reads it so; what is not UTF-8 then is in the format's first code page.
 */
function nameOf(entry: Entry): string {
  const saysHow =
    (entry.generalPurposeBitFlag & NAME_IS_UTF8) !== 0 ||
    entry.extraFields.some(({ id }) => id === UNICODE_PATH);
  if (!saysHow) {
    try {
      return decoder.decode(entry.fileNameRaw);
    } catch {
      // The older rule then.
    }
  }
  return getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, true);
}

const TYPE_BITS = 0o170000;
const FOLDER = 0o040000;
const PLAIN_FILE = 0o100000;

/** A link or device is refused whatever system the entry says that it comes from. */
function checkKind(entry: Entry, name: EntryName): void {
  const refuse = (reason: string): never => {
    throw new ExecutorError("ARCHIVE_INVALID", { reason, entry: shown(name.path) });
  };
  const type = (entry.externalFileAttributes >>> 16) & TYPE_BITS;
  if (type !== 0 && type !== PLAIN_FILE && type !== FOLDER) refuse("a link or device");
  if (type === (name.isFolder ? PLAIN_FILE : FOLDER)) refuse("a file and a folder in one");
  if (entry.isEncrypted()) refuse("an encrypted entry");
  if (!entry.canDecodeFileData())
    refuse(`a way of compressing that is not supported (${entry.compressionMethod})`);
  if (name.isFolder && entry.uncompressedSize > 0) refuse("a folder with contents");
}

async function* contentsOf(
  zip: ZipFile,
  member: ArchiveMember,
  budget: Budget,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  const stream = addAbortSignal(signal, await zip.openReadStreamPromise(member.entry));
  let sum = 0;
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    budget.spend(chunk.length);
    sum = crc32(chunk, sum);
    bytes += chunk.length;
    yield chunk;
  }
  if (bytes !== member.entry.uncompressedSize) throw damaged("a file of another size", member);
  if (sum !== member.entry.crc32) throw damaged("a wrong checksum", member);
}

/** What is small and in memory is unpacked where it is: a stream for each file would be most of the work. */
async function* smallContents(
  whole: Buffer,
  at: number,
  member: ArchiveMember,
  budget: Budget,
): AsyncIterable<Uint8Array> {
  const { compressionMethod, compressedSize, uncompressedSize, crc32: sum } = member.entry;
  budget.spend(uncompressedSize);
  const packed = whole.subarray(at, at + compressedSize);
  const bytes = compressionMethod === 0 ? packed : inflate(packed, member);
  if (bytes.length !== uncompressedSize) throw damaged("a file of another size", member);
  if (crc32(bytes) !== sum) throw damaged("a wrong checksum", member);
  if (bytes.length > 0) yield bytes;
}

/** No more comes out of it than its entry says. */
function inflate(packed: Buffer, member: ArchiveMember): Buffer {
  try {
    return inflateRawSync(packed, { maxOutputLength: Math.max(1, member.entry.uncompressedSize) });
  } catch (error) {
    const isMore = (error as { readonly code?: unknown }).code === "ERR_BUFFER_TOO_LARGE";
    throw isMore ? damaged("a file of another size", member) : error;
  }
}

const damaged = (reason: string, member: ArchiveMember): ExecutorError =>
  new ExecutorError("ARCHIVE_INVALID", { reason, entry: shown(member.path) });

/**
 * Two entries that share bytes are how a small archive becomes a large folder without any entry looking odd
 * (https://www.bamsoftware.com/hacks/zipbomb/). Honest packers write one after the other.
 *
 * @returns where the bytes of each begin.
 */
async function checkPlaces(
  zip: ZipFile,
  members: readonly ArchiveMember[],
  signal: AbortSignal,
): Promise<ReadonlyMap<ArchiveMember, number>> {
  const starts = new Map<ArchiveMember, number>();
  const places: { readonly start: number; readonly end: number; readonly member: ArchiveMember }[] = [];
  for (const member of members) {
    signal.throwIfAborted();
    const header = await zip.readLocalFileHeaderPromise(member.entry);
    if (!header.fileName.equals(member.entry.fileNameRaw)) throw damaged("an entry with two names", member);
    const end = header.fileDataStart + member.entry.compressedSize;
    starts.set(member, header.fileDataStart);
    places.push({ start: member.entry.relativeOffsetOfLocalHeader, end, member });
  }
  places.sort((a, b) => a.start - b.start);
  let end = 0;
  for (const place of places) {
    if (place.start < end) throw damaged("entries that overlap", place.member);
    end = place.end;
  }
  return starts;
}
