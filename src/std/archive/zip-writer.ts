import { open, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { crc32, createDeflateRaw, deflateRaw, deflateRawSync } from "node:zlib";
import type { ByteSink } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { ZipRecord } from "./zip-records.ts";
import { centralHeader, DEFLATED, descriptor, endOfArchive, localHeader, STORED } from "./zip-records.ts";

/** Fast rather than small: results are often gigabytes of numbers, of which a higher level saves little. */
const LEVEL = 1;
/** Above this a file gets sizes of eight bytes before its real one is known; it may still grow, and deflate may add to it. */
const LARGE_FROM_BYTES = 0xf000_0000;
const MAX_PLAIN_BYTES = 0xffff_fffe;
/** Small pieces are gathered: a write per header would be most of the work with many small files. */
const GATHERED_BYTES = 256 * 1024;
/** Nothing this short becomes shorter. */
const TOO_SHORT_BYTES = 32;

/** This little is packed sooner than another thread has heard of it. */
const AT_ONCE_BYTES = 8 * 1024;

const deflateLater = promisify(deflateRaw);
const deflate = (contents: Uint8Array): Uint8Array | Promise<Uint8Array> =>
  contents.length <= AT_ONCE_BYTES
    ? deflateRawSync(contents, { level: LEVEL })
    : deflateLater(contents, { level: LEVEL });

/** Entries go in one at a time, each awaited. */
export interface ZipWriter {
  addFolder(name: string, modifiedAtMs: number): Promise<void>;
  addBytes(name: string, modifiedAtMs: number, contents: Uint8Array): Promise<void>;
  /** @param expectedBytes about what will come, to choose the form of its header. */
  addStream(
    name: string,
    modifiedAtMs: number,
    expectedBytes: number,
    contents: AsyncIterable<Uint8Array>,
  ): Promise<void>;
}

/**
 * Writes a new archive; when `fill` rejects, no file is left. What was given to a sink by then is its owner's to take away. (Why not yazl: it looks through all entries for each one that it
 * writes, 78 s for 100 000 files, turns backslashes in names into slashes, and hangs when a source fails: ADR 0029.)
 */
export async function writeZip(
  to: string | ByteSink,
  fill: (zip: ZipWriter) => Promise<void>,
): Promise<void> {
  if (typeof to === "string") await writeFile(to, fill);
  else await writeInto((bytes) => to.write(bytes), fill);
}

async function writeInto(
  write: (bytes: Uint8Array) => Promise<void>,
  fill: (zip: ZipWriter) => Promise<void>,
): Promise<void> {
  const out = gather(write);
  const records: ZipRecord[] = [];
  await fill(zipWriter(out, records));
  const directoryAt = out.bytes();
  for (const record of records) await out.write(centralHeader(record));
  await out.write(endOfArchive(records.length, directoryAt, out.bytes() - directoryAt));
  await out.flush();
}

async function writeFile(path: string, fill: (zip: ZipWriter) => Promise<void>): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await writeInto((bytes) => file.writeFile(bytes), fill);
    await file.close();
  } catch (error) {
    // A second close of a file that the first could not close says nothing new.
    await file.close().catch(() => undefined);
    await rm(path, { force: true });
    throw error;
  }
}

interface Output {
  write(bytes: Uint8Array): Promise<void>;
  flush(): Promise<void>;
  bytes(): number;
}

function gather(writeAll: (bytes: Uint8Array) => Promise<void>): Output {
  let pieces: Uint8Array[] = [];
  let waiting = 0;
  let total = 0;
  const flush = async (): Promise<void> => {
    const all = Buffer.concat(pieces);
    pieces = [];
    waiting = 0;
    if (all.length > 0) await writeAll(all);
  };
  return {
    async write(bytes) {
      pieces.push(bytes);
      waiting += bytes.length;
      total += bytes.length;
      if (waiting >= GATHERED_BYTES) await flush();
    },
    flush,
    bytes: () => total,
  };
}

function zipWriter(out: Output, records: ZipRecord[]): ZipWriter {
  const addWhole = async (record: ZipRecord, contents: Uint8Array): Promise<void> => {
    await out.write(localHeader(record));
    await out.write(contents);
    records.push(record);
  };
  return {
    addFolder: (name, modifiedAtMs) =>
      addWhole({ ...plainRecord(name, modifiedAtMs, out.bytes()), isFolder: true }, new Uint8Array()),
    async addBytes(name, modifiedAtMs, contents) {
      const isShort = contents.length < TOO_SHORT_BYTES;
      const packed = isShort ? contents : await deflate(contents);
      const isWorthIt = packed.length < contents.length;
      const written = isWorthIt ? packed : contents;
      const record: ZipRecord = {
        ...plainRecord(name, modifiedAtMs, out.bytes()),
        method: isWorthIt ? DEFLATED : STORED,
        crc: crc32(contents),
        bytes: contents.length,
        compressedBytes: written.length,
      };
      await addWhole(record, written);
    },
    async addStream(name, modifiedAtMs, expectedBytes, contents) {
      const head: ZipRecord = {
        ...plainRecord(name, modifiedAtMs, out.bytes()),
        method: DEFLATED,
        hasDescriptor: true,
        isLarge: expectedBytes >= LARGE_FROM_BYTES,
      };
      await out.write(localHeader(head));
      const record = { ...head, ...(await deflateInto(out, contents, head.isLarge)) };
      await out.write(descriptor(record));
      records.push(record);
    },
  };
}

function plainRecord(name: string, modifiedAtMs: number, offset: number): ZipRecord {
  return {
    name: Buffer.from(name),
    isFolder: false,
    modifiedAtMs,
    method: STORED,
    crc: 0,
    bytes: 0,
    compressedBytes: 0,
    offset,
    hasDescriptor: false,
    isLarge: false,
  };
}

type Figures = Pick<ZipRecord, "crc" | "bytes" | "compressedBytes">;

async function deflateInto(
  out: Output,
  contents: AsyncIterable<Uint8Array>,
  isLarge: boolean,
): Promise<Figures> {
  let crc = 0;
  let bytes = 0;
  let compressedBytes = 0;
  const counted = async function* (): AsyncIterable<Uint8Array> {
    for await (const chunk of contents) {
      crc = crc32(chunk, crc);
      bytes += chunk.length;
      yield chunk;
    }
  };
  await pipeline(counted, createDeflateRaw({ level: LEVEL }), async (packed: AsyncIterable<Buffer>) => {
    for await (const chunk of packed) {
      compressedBytes += chunk.length;
      await out.write(chunk);
    }
  });
  if (!isLarge && Math.max(bytes, compressedBytes) > MAX_PLAIN_BYTES)
    throw new ExecutorError("ARCHIVE_TOO_LARGE", { reason: "a file grew while it was read" });
  return { crc, bytes, compressedBytes };
}
