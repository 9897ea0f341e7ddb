import { CODE, check, hasResult, isTold } from "./nvml-error.ts";
import type { NvmlLibrary, Versioned } from "./nvml-library.ts";

/** The longest texts of NVML: 96 bytes; driver versions 80. */
const TEXT_BYTES = 96;

/** A handle, as its address. */
export type Handle = bigint;

export function readHandle(library: NvmlLibrary, index: number): Handle {
  const out = Buffer.alloc(8);
  check(library, "its handle", library.handleByIndex(index, out));
  return out.readBigUInt64LE(0);
}

export function readUuid(library: NvmlLibrary, handle: Handle): string {
  const text = Buffer.alloc(TEXT_BYTES);
  check(library, "its UUID", library.uuid(handle, text, TEXT_BYTES));
  return cString(text);
}

export function readName(library: NvmlLibrary, handle: Handle): string {
  const text = Buffer.alloc(TEXT_BYTES);
  return isTold(library, "its name", library.name(handle, text, TEXT_BYTES)) ? cString(text) : "";
}

export function readDriverVersion(library: NvmlLibrary): string {
  const text = Buffer.alloc(TEXT_BYTES);
  return library.driverVersion?.(text, TEXT_BYTES) === CODE.SUCCESS ? cString(text) : "";
}

export function readMinor(library: NvmlLibrary, handle: Handle): number | undefined {
  const out = Buffer.alloc(4);
  return library.minorNumber?.(handle, out) === CODE.SUCCESS ? out.readUInt32LE(0) : undefined;
}

/** `nvmlPciInfo_t`: the older forms have a 16-byte text first, the third has a longer one after five numbers as well. */
export function readPciBusId(library: NvmlLibrary, handle: Handle): string {
  const out = Buffer.alloc(68);
  if (library.pciInfo?.call(handle, out) !== CODE.SUCCESS) return "";
  return cString(library.pciInfo.version === 3 ? out.subarray(36) : out.subarray(0, 16));
}

export interface MemoryFigures {
  readonly totalBytes: number;
  readonly usedBytes: number;
}

/** Zeros for a card without memory of its own. The second form leaves out what the driver keeps for itself. */
export function readMemory(library: NvmlLibrary, handle: Handle): MemoryFigures {
  const { memoryInfo } = library;
  const none = { totalBytes: 0, usedBytes: 0 };
  if (memoryInfo === undefined) return none;
  const out = Buffer.alloc(40);
  const isSecond = memoryInfo.version === 2;
  if (isSecond) out.writeUInt32LE(40 | (2 << 24), 0); // the size and version that the call asks for
  if (!hasResult(library, "its memory", memoryInfo.call(handle, out))) return none;
  const [total, used] = isSecond ? [8, 32] : [0, 16];
  return { totalBytes: Number(out.readBigUInt64LE(total)), usedBytes: Number(out.readBigUInt64LE(used)) };
}

/** Per cent of the last sample; `undefined` where the card does not tell. */
export function readCompute(library: NvmlLibrary, handle: Handle): number | undefined {
  const out = Buffer.alloc(8);
  const code = library.utilization?.(handle, out) ?? CODE.NOT_SUPPORTED;
  return isTold(library, "its utilisation", code) ? Math.min(100, out.readUInt32LE(0)) : undefined;
}

/** `nvmlProcessInfo_t` has 16 bytes in its first form and 24 since. */
const PROCESS_BYTES = { 1: 16, 2: 24, 3: 24 } as const;
const FIRST_PROCESSES = 32;
const PROCESS_TRIES = 4;

/** Ids of the processes that compute on it or draw with it; none where the card does not tell. */
export function readProcesses(library: NvmlLibrary, handle: Handle): readonly number[] {
  const lists = [library.computeProcesses, library.graphicsProcesses];
  const pids = lists.flatMap((list) => (list === undefined ? [] : readList(library, list, handle)));
  return [...new Set(pids)].filter((pid) => pid > 0);
}

/** The list may grow between the answer that says how long it is and the next try. */
function readList(library: NvmlLibrary, { call, version }: Versioned, handle: Handle): readonly number[] {
  const bytes = PROCESS_BYTES[version];
  const count = Buffer.alloc(4);
  let room = FIRST_PROCESSES;
  for (let attempt = 0; attempt < PROCESS_TRIES; attempt += 1) {
    const infos = Buffer.alloc(room * bytes);
    count.writeUInt32LE(room, 0);
    const code = call(handle, count, infos);
    const told = count.readUInt32LE(0);
    if (code === CODE.INSUFFICIENT_SIZE) {
      room = Math.max(told, room) * 2;
      continue;
    }
    if (!isTold(library, "its processes", code)) return [];
    return Array.from({ length: Math.min(told, room) }, (_, at) => infos.readUInt32LE(at * bytes));
  }
  return [];
}

export function cString(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end).trim();
}
