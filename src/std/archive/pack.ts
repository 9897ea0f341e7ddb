import type { ArchiveLimits, ByteSink, PackReport } from "../../core/index.ts";
import type { Looks } from "../files/index.ts";
import { looksLater } from "../files/index.ts";
import type { Budget } from "./budget.ts";
import { openBudget } from "./budget.ts";
import { archiveFailure } from "./failure.ts";
import { openWay } from "./make-way.ts";
import type { FolderItem } from "./walk-folder.ts";
import { walkFolder } from "./walk-folder.ts";
import type { ZipWriter } from "./zip-writer.ts";
import { writeZip } from "./zip-writer.ts";

const SHOWN_SKIPPED = 100;
/** What is read at once, and what is packed as one piece. */
const PIECE_BYTES = 64 * 1024;

/** See `Archiver.pack`. */
export async function pack(
  { dir, looks }: { readonly dir: string; readonly looks: Looks },
  to: string | ByteSink,
  limits: ArchiveLimits,
  extra: Readonly<Record<string, Uint8Array>>,
  signal: AbortSignal,
): Promise<PackReport> {
  const budget = openBudget(limits);
  const names = new Set<string>();
  const nameOf = openWay(Object.keys(extra));
  const skipped: string[] = [];
  let files = 0;
  let skippedCount = 0;
  const add = async (zip: ZipWriter, found: FolderItem): Promise<void> => {
    const item = { ...found, name: nameOf(found) };
    if (item.type === "skipped") {
      skippedCount += 1;
      if (skipped.length < SHOWN_SKIPPED) skipped.push(item.name);
      return;
    }
    names.add(item.name);
    if (item.type === "folder") return zip.addFolder(`${item.name}/`, item.modifiedAtMs);
    files += 1;
    return addFile(zip, item, looks, budget, signal);
  };
  try {
    await writeZip(to, async (zip) => {
      for await (const item of walkFolder(dir, limits, looks, signal)) await add(zip, item);
      await addExtra(zip, extra, names);
    });
  } catch (error) {
    throw archiveFailure(error, signal);
  }
  return { bytes: budget.spentBytes, files, skipped, skippedCount };
}

async function addFile(
  zip: ZipWriter,
  item: Extract<FolderItem, { readonly type: "file" }>,
  looks: Looks,
  budget: Budget,
  signal: AbortSignal,
): Promise<void> {
  // Only what is one piece is read at once: many would keep everybody else waiting.
  const first = await readPiece(item.fd, item.bytes < PIECE_BYTES ? looks : looksLater, budget);
  // Small ones wait together to be written, and a slice would keep its whole piece waiting with it.
  if (first.length < PIECE_BYTES) return zip.addBytes(item.name, item.modifiedAtMs, Buffer.from(first));
  const contents = async function* (): AsyncIterable<Uint8Array> {
    for (let piece = first; piece.length > 0; piece = await readPiece(item.fd, looksLater, budget)) {
      signal.throwIfAborted();
      yield piece;
    }
  };
  return zip.addStream(item.name, item.modifiedAtMs, item.bytes, contents());
}

/** The next bytes of a file, shorter than a piece only at its end. Holes of a sparse file are read, and counted, as zeros. */
async function readPiece(fd: number, looks: Looks, budget: Budget): Promise<Uint8Array> {
  const piece = Buffer.allocUnsafe(PIECE_BYTES);
  let filled = 0;
  while (filled < PIECE_BYTES) {
    const bytesRead = await looks.read(fd, piece, filled, null);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  budget.spend(filled);
  return piece.subarray(0, filled);
}

async function addExtra(
  zip: ZipWriter,
  extra: Readonly<Record<string, Uint8Array>>,
  names: ReadonlySet<string>,
): Promise<void> {
  for (const [name, contents] of Object.entries(extra)) {
    const isFolder = name.endsWith("/");
    if (names.has(isFolder ? name.slice(0, -1) : name)) continue;
    // The format's first year: what was made for the archive has no time of its own, and two archives of one folder are equal.
    if (isFolder) await zip.addFolder(name, 0);
    else await zip.addBytes(name, 0, contents);
  }
}
