/**
 * The records of a zip file, as PKWARE's APPNOTE 6.3.10 sections 4.3 and 4.5 lay them out. All numbers are little-endian; a
 * size or offset that does not fit its field is 0xffffffff there and stands in the extra field of zip64.
 */
const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const DESCRIPTOR = 0x08074b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;

const MAX16 = 0xffff;
const MAX32 = 0xffffffff;

const VERSION_PLAIN = 20;
const VERSION_ZIP64 = 45;
/** Made on Unix: the upper half of the attributes is a mode. */
const MADE_BY = (3 << 8) | VERSION_ZIP64;
const NAME_IS_UTF8 = 0x0800;
const HAS_DESCRIPTOR = 0x0008;

export const STORED = 0;
export const DEFLATED = 8;

export interface ZipRecord {
  readonly name: Buffer;
  readonly isFolder: boolean;
  readonly modifiedAtMs: number;
  readonly method: typeof STORED | typeof DEFLATED;
  readonly crc: number;
  readonly bytes: number;
  readonly compressedBytes: number;
  /** Where its local header begins. */
  readonly offset: number;
  /** Its figures follow its contents, since they were not known before. */
  readonly hasDescriptor: boolean;
  /** Its sizes have eight bytes each wherever they stand. */
  readonly isLarge: boolean;
}

export function localHeader(record: ZipRecord): Buffer {
  const extra = record.isLarge ? zip64Extra([0, 0]) : Buffer.alloc(0);
  const head = Buffer.alloc(30);
  head.writeUInt32LE(LOCAL, 0);
  head.writeUInt16LE(record.isLarge ? VERSION_ZIP64 : VERSION_PLAIN, 4);
  writeCommon(head, 6, record);
  if (record.hasDescriptor) head.fill(0, 14, 18);
  writeSizes(head, 18, record, record.hasDescriptor);
  head.writeUInt16LE(record.name.length, 26);
  head.writeUInt16LE(extra.length, 28);
  return Buffer.concat([head, record.name, extra]);
}

export function descriptor(record: ZipRecord): Buffer {
  const head = Buffer.alloc(record.isLarge ? 24 : 16);
  head.writeUInt32LE(DESCRIPTOR, 0);
  head.writeUInt32LE(record.crc, 4);
  if (record.isLarge) {
    head.writeBigUInt64LE(BigInt(record.compressedBytes), 8);
    head.writeBigUInt64LE(BigInt(record.bytes), 16);
  } else {
    head.writeUInt32LE(record.compressedBytes, 8);
    head.writeUInt32LE(record.bytes, 12);
  }
  return head;
}

export function centralHeader(record: ZipRecord): Buffer {
  const isFar = record.offset >= MAX32;
  const wide = [
    ...(record.isLarge ? [record.bytes, record.compressedBytes] : []),
    ...(isFar ? [record.offset] : []),
  ];
  const extra = wide.length === 0 ? Buffer.alloc(0) : zip64Extra(wide);
  const head = Buffer.alloc(46);
  head.writeUInt32LE(CENTRAL, 0);
  head.writeUInt16LE(MADE_BY, 4);
  head.writeUInt16LE(wide.length > 0 ? VERSION_ZIP64 : VERSION_PLAIN, 6);
  writeCommon(head, 8, record);
  writeSizes(head, 20, record, false);
  head.writeUInt16LE(record.name.length, 28);
  head.writeUInt16LE(extra.length, 30);
  head.writeUInt32LE(attributes(record.isFolder), 38);
  head.writeUInt32LE(isFar ? MAX32 : record.offset, 42);
  return Buffer.concat([head, record.name, extra]);
}

/** The end of an archive: its directory begins at `offset` and takes `bytes`. */
export function endOfArchive(entries: number, offset: number, bytes: number): Buffer {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(END, 0);
  end.writeUInt16LE(Math.min(entries, MAX16), 8);
  end.writeUInt16LE(Math.min(entries, MAX16), 10);
  end.writeUInt32LE(Math.min(bytes, MAX32), 12);
  end.writeUInt32LE(Math.min(offset, MAX32), 16);
  if (entries < MAX16 && bytes < MAX32 && offset < MAX32) return end;
  const wide = Buffer.alloc(56);
  wide.writeUInt32LE(END64, 0);
  wide.writeBigUInt64LE(44n, 4);
  wide.writeUInt16LE(MADE_BY, 12);
  wide.writeUInt16LE(VERSION_ZIP64, 14);
  wide.writeBigUInt64LE(BigInt(entries), 24);
  wide.writeBigUInt64LE(BigInt(entries), 32);
  wide.writeBigUInt64LE(BigInt(bytes), 40);
  wide.writeBigUInt64LE(BigInt(offset), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(LOCATOR64, 0);
  locator.writeBigUInt64LE(BigInt(offset + bytes), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([wide, locator, end]);
}

/** Flags, method, time, date and checksum, which the local and the central header share. */
function writeCommon(head: Buffer, at: number, record: ZipRecord): void {
  const { time, date } = dosTime(record.modifiedAtMs);
  head.writeUInt16LE(NAME_IS_UTF8 | (record.hasDescriptor ? HAS_DESCRIPTOR : 0), at);
  head.writeUInt16LE(record.method, at + 2);
  head.writeUInt16LE(time, at + 4);
  head.writeUInt16LE(date, at + 6);
  head.writeUInt32LE(record.crc, at + 8);
}

function writeSizes(head: Buffer, at: number, record: ZipRecord, areUnknown: boolean): void {
  const [compressed, whole] = areUnknown ? [0, 0] : [record.compressedBytes, record.bytes];
  head.writeUInt32LE(record.isLarge ? MAX32 : compressed, at);
  head.writeUInt32LE(record.isLarge ? MAX32 : whole, at + 4);
}

function zip64Extra(values: readonly number[]): Buffer {
  const extra = Buffer.alloc(4 + values.length * 8);
  extra.writeUInt16LE(0x0001, 0);
  extra.writeUInt16LE(values.length * 8, 2);
  for (const [i, value] of values.entries()) extra.writeBigUInt64LE(BigInt(value), 4 + i * 8);
  return extra;
}

const attributes = (isFolder: boolean): number =>
  (((isFolder ? 0o040755 : 0o100644) << 16) | (isFolder ? 0x10 : 0)) >>> 0;

/** The format has no time zone; ours is UTC. It begins in 1980, ends in 2107 and counts seconds by two. */
function dosTime(ms: number): { readonly time: number; readonly date: number } {
  const at = new Date(Math.min(Math.max(ms, Date.UTC(1980, 0, 1)), Date.UTC(2107, 11, 31)));
  return {
    time: (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1),
    date: ((at.getUTCFullYear() - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate(),
  };
}
