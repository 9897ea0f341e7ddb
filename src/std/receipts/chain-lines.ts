import type { Checkpoint, ExportEnd, ReceiptKey } from "../../core/index.ts";
import { canonical } from "../../core/index.ts";

/** The chain as text: a head, then the entries of each block and its checkpoint, then an end; one JSON object per line. */
export const CHAIN_FORMAT = "hearth-receipts-1";

export function headLine({ publicKey, chain }: Pick<ReceiptKey, "publicKey" | "chain">): string {
  return canonical({ chain, format: CHAIN_FORMAT, publicKey });
}

/** @param entry its canonical text. */
export function entryLine(entry: string, hash: string): string {
  return `{"entry":${entry},"hash":"${hash}"}`;
}

export function checkpointLine(checkpoint: Checkpoint, signature: string): string {
  return canonical({ checkpoint: { ...checkpoint }, signature });
}

export function endLine(end: ExportEnd, signature: string): string {
  return canonical({ end: { ...end }, signature });
}

export type ChainLine =
  | { readonly type: "head"; readonly publicKey: string; readonly chain: string }
  | { readonly type: "entry"; readonly text: string; readonly seq: number; readonly hash: string }
  | { readonly type: "checkpoint"; readonly checkpoint: Checkpoint; readonly signature: string }
  | { readonly type: "end"; readonly end: ExportEnd; readonly signature: string };

const HASH_TAIL = /,"hash":"([0-9a-f]{64})"\}$/;
const HEX = /^[0-9a-f]{64}$/;

/** @returns `undefined` for a line that was not written this way, to the byte. */
export function parseChainLine(line: string): ChainLine | undefined {
  try {
    if (line.startsWith('{"entry":')) return parseEntry(line);
    const value = JSON.parse(line) as Record<string, unknown>;
    const parsed = parseOther(value);
    return parsed !== undefined && again(parsed) === line ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function parseEntry(line: string): ChainLine | undefined {
  const [tail, hash] = HASH_TAIL.exec(line) ?? [];
  if (tail === undefined || hash === undefined) return undefined;
  const text = line.slice('{"entry":'.length, -tail.length);
  const entry = JSON.parse(text) as { readonly seq?: unknown } | null;
  const seq = entry?.seq;
  return typeof seq === "number" && Number.isSafeInteger(seq)
    ? { type: "entry", text, seq, hash }
    : undefined;
}

function parseOther(value: Record<string, unknown>): ChainLine | undefined {
  if ("checkpoint" in value) return parseCheckpoint(value);
  return "end" in value ? parseEnd(value) : parseHead(value);
}

function parseHead({ format, publicKey, chain }: Record<string, unknown>): ChainLine | undefined {
  if (format !== CHAIN_FORMAT || typeof publicKey !== "string" || typeof chain !== "string") return undefined;
  return { type: "head", publicKey, chain };
}

function parseCheckpoint({ checkpoint, signature }: Record<string, unknown>): ChainLine | undefined {
  if (typeof signature !== "string" || typeof checkpoint !== "object" || checkpoint === null)
    return undefined;
  const { chain, first, last, prev, head, atUs } = checkpoint as Record<string, unknown>;
  if (typeof chain !== "string" || !isHash(prev) || !isHash(head)) return undefined;
  if (typeof first !== "number" || typeof last !== "number" || typeof atUs !== "number") return undefined;
  return { type: "checkpoint", checkpoint: { chain, first, last, prev, head, atUs }, signature };
}

function parseEnd({ end, signature }: Record<string, unknown>): ChainLine | undefined {
  if (typeof signature !== "string" || typeof end !== "object" || end === null) return undefined;
  const { chain, first, last, head, newest, atUs } = end as Record<string, unknown>;
  if (typeof chain !== "string" || !isHash(head) || typeof newest !== "number") return undefined;
  if (typeof first !== "number" || typeof last !== "number" || typeof atUs !== "number") return undefined;
  return { type: "end", end: { chain, first, last, head, newest, atUs }, signature };
}

function isHash(value: unknown): value is string {
  return typeof value === "string" && HEX.test(value);
}

/** The line as we would have written it. */
function again(line: ChainLine): string {
  if (line.type === "head") return headLine(line);
  if (line.type === "end") return endLine(line.end, line.signature);
  if (line.type === "checkpoint") return checkpointLine(line.checkpoint, line.signature);
  return entryLine(line.text, line.hash);
}
