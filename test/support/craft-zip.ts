import { crc32, deflateRawSync } from "node:zlib";

/** One entry as its sender claims it; what is left out is honest. */
export interface CraftedEntry {
  readonly name: string | Buffer;
  readonly contents?: Buffer;
  /** Deflated unless this says otherwise. */
  readonly method?: number;
  readonly flags?: number;
  readonly mode?: number;
  readonly madeBy?: number;
  readonly crc?: number;
  readonly bytes?: number;
  /** The name in front of the contents, if it is another one. */
  readonly localName?: string | Buffer;
  /** Takes the contents of the entry with this index instead of having its own. */
  readonly sharesWith?: number;
  readonly extra?: Buffer;
}

/** What the end of the archive claims. */
export interface CraftedEnd {
  readonly entries?: number;
}

const UTF8 = 0x0800;

/** A zip file made by hand, since no packer writes what these tests need. */
export function craftZip(entries: readonly CraftedEntry[], end: CraftedEnd = {}): Buffer {
  const pieces: Buffer[] = [];
  const offsets: number[] = [];
  let at = 0;
  const put = (piece: Buffer): void => {
    pieces.push(piece);
    at += piece.length;
  };
  const packed = entries.map(packedOf);
  for (const [i, entry] of entries.entries()) {
    offsets.push(entry.sharesWith === undefined ? at : offsets[entry.sharesWith]!);
    if (entry.sharesWith === undefined) {
      put(localHeader(entry, packed[i]!));
      put(packed[i]!);
    }
  }
  const directoryAt = at;
  for (const [i, entry] of entries.entries())
    put(centralHeader(entry, packed[entry.sharesWith ?? i]!, offsets[i]!));
  const tail = Buffer.alloc(22);
  tail.writeUInt32LE(0x06054b50, 0);
  tail.writeUInt16LE(end.entries ?? entries.length, 8);
  tail.writeUInt16LE(end.entries ?? entries.length, 10);
  tail.writeUInt32LE(at - directoryAt, 12);
  tail.writeUInt32LE(directoryAt, 16);
  put(tail);
  return Buffer.concat(pieces);
}

const contentsOf = (entry: CraftedEntry): Buffer => entry.contents ?? Buffer.alloc(0);

function packedOf(entry: CraftedEntry): Buffer {
  const contents = contentsOf(entry);
  return (entry.method ?? 8) === 8 ? deflateRawSync(contents) : contents;
}

function localHeader(entry: CraftedEntry, packed: Buffer): Buffer {
  const name = Buffer.from(entry.localName ?? entry.name);
  const head = Buffer.alloc(30);
  head.writeUInt32LE(0x04034b50, 0);
  head.writeUInt16LE(20, 4);
  writeFigures(head, 6, entry, packed);
  head.writeUInt16LE(name.length, 26);
  return Buffer.concat([head, name]);
}

function centralHeader(entry: CraftedEntry, packed: Buffer, offset: number): Buffer {
  const name = Buffer.from(entry.name);
  const extra = entry.extra ?? Buffer.alloc(0);
  const head = Buffer.alloc(46);
  head.writeUInt32LE(0x02014b50, 0);
  head.writeUInt16LE(((entry.madeBy ?? 3) << 8) | 20, 4);
  head.writeUInt16LE(20, 6);
  writeFigures(head, 8, entry, packed);
  head.writeUInt16LE(name.length, 28);
  head.writeUInt16LE(extra.length, 30);
  head.writeUInt32LE(((entry.mode ?? 0o100644) << 16) >>> 0, 38);
  head.writeUInt32LE(offset, 42);
  return Buffer.concat([head, name, extra]);
}

function writeFigures(head: Buffer, at: number, entry: CraftedEntry, packed: Buffer): void {
  const contents = contentsOf(entry);
  head.writeUInt16LE(entry.flags ?? UTF8, at);
  head.writeUInt16LE(entry.method ?? 8, at + 2);
  head.writeUInt32LE(entry.crc ?? crc32(contents), at + 8);
  head.writeUInt32LE(packed.length, at + 12);
  head.writeUInt32LE(entry.bytes ?? contents.length, at + 16);
}

/** The extra field in which Info-ZIP gives a name in UTF-8 beside one that is not. */
export function unicodePathExtra(plainName: string, name: string): Buffer {
  const data = Buffer.concat([Buffer.alloc(5), Buffer.from(name)]);
  data.writeUInt8(1, 0);
  data.writeUInt32LE(crc32(Buffer.from(plainName)), 1);
  const head = Buffer.alloc(4);
  head.writeUInt16LE(0x7075, 0);
  head.writeUInt16LE(data.length, 2);
  return Buffer.concat([head, data]);
}
