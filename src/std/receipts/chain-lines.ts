import type { Checkpoint, ExportEnd, ReceiptKey } from "../../core/index.ts";
import { canonical } from "../../core/index.ts";

/**
 * The chain as text: a head, then of each block itself, as it was hashed and signed, and the entries that it holds, then an end;
 * one JSON object per line.
 */
const CHAIN_FORMAT = "hearth-receipts-2";

export function headLine({ publicKey, chain }: Pick<ReceiptKey, "publicKey" | "chain">): string {
  return canonical({ chain, format: CHAIN_FORMAT, publicKey });
}

/** @param text the block's, which is JSON. */
export function blockLine(checkpoint: Checkpoint, signature: string, text: string): string {
  return `${blockHead(checkpoint, signature)}${text}}`;
}

/** @param entry its canonical text. */
export function entryLine(entry: string): string {
  return `{"entry":${entry}}`;
}

export function endLine(end: ExportEnd, signature: string): string {
  return canonical({ end: { ...end }, signature });
}

export type ChainLine =
  | { readonly type: "head"; readonly publicKey: string; readonly chain: string }
  | {
      readonly type: "block";
      readonly checkpoint: Checkpoint;
      readonly signature: string;
      readonly text: string;
    }
  | { readonly type: "entry"; readonly text: string; readonly seq: number }
  | { readonly type: "end"; readonly end: ExportEnd; readonly signature: string };

const BEGINNINGS = ['{"chain":', '{"checkpoint":', '{"entry":', '{"end":'];

/** Whether a line is the beginning of one of a chain, and its end is missing. */
export function isCutLine(line: string): boolean {
  if (line === "" || !BEGINNINGS.some((begin) => line.startsWith(begin) || begin.startsWith(line)))
    return false;
  return isLeftOpen(line);
}

/** Whether a string, an object or a list of it is not closed. One pass, whatever it is: the line may be anybody's. */
function isLeftOpen(line: string): boolean {
  let depth = 0;
  let isInString = false;
  for (let at = 0; at < line.length; at += 1) {
    const character = line[at];
    if (isInString && character === "\\") at += 1;
    else if (character === '"') isInString = !isInString;
    else if (!isInString && (character === "{" || character === "[")) depth += 1;
    else if (!isInString && (character === "}" || character === "]")) depth -= 1;
  }
  return isInString || depth > 0;
}

const HEX = /^[0-9a-f]{64}$/;
const BLOCK = /^(\{"checkpoint":\{[^{}]*\},"signature":"[^"]*"),"block":/;

/** @returns `undefined` for a line that was not written this way, to the byte; of an entry and a block's text only the frame is looked at. */
export function parseChainLine(line: string): ChainLine | undefined {
  try {
    if (line.startsWith('{"entry":')) return parseEntry(line);
    if (line.startsWith('{"checkpoint":')) return parseBlock(line);
    const value = JSON.parse(line) as Record<string, unknown>;
    const parsed = "end" in value ? parseEnd(value) : parseHead(value);
    return parsed !== undefined && again(parsed) === line ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function parseEntry(line: string): ChainLine | undefined {
  const { entry } = JSON.parse(line) as { readonly entry: { readonly seq?: unknown } | null };
  const seq = entry?.seq;
  return typeof seq === "number" && Number.isSafeInteger(seq)
    ? { type: "entry", text: line.slice('{"entry":'.length, -1), seq }
    : undefined;
}

function parseBlock(line: string): ChainLine | undefined {
  const [frame, head] = BLOCK.exec(line) ?? [];
  if (frame === undefined || !line.endsWith("}")) return undefined;
  const value = JSON.parse(`${head}}`) as Record<string, unknown>;
  const checkpoint = checkpointOf(value["checkpoint"]);
  const { signature } = value;
  if (checkpoint === undefined || typeof signature !== "string") return undefined;
  if (blockHead(checkpoint, signature) !== frame) return undefined;
  return { type: "block", checkpoint, signature, text: line.slice(frame.length, -1) };
}

function blockHead(checkpoint: Checkpoint, signature: string): string {
  return `${canonical({ checkpoint: { ...checkpoint }, signature }).slice(0, -1)},"block":`;
}

type HeadLine = Extract<ChainLine, { type: "head" }>;
type EndLine = Extract<ChainLine, { type: "end" }>;

function parseHead({ format, publicKey, chain }: Record<string, unknown>): HeadLine | undefined {
  if (format !== CHAIN_FORMAT || typeof publicKey !== "string" || typeof chain !== "string") return undefined;
  return { type: "head", publicKey, chain };
}

function checkpointOf(value: unknown): Checkpoint | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { chain, first, last, prev, head, atUs } = value as Record<string, unknown>;
  if (typeof chain !== "string" || !isHash(prev) || !isHash(head)) return undefined;
  if (typeof first !== "number" || typeof last !== "number" || typeof atUs !== "number") return undefined;
  return { chain, first, last, prev, head, atUs };
}

function parseEnd({ end, signature }: Record<string, unknown>): EndLine | undefined {
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
function again(line: HeadLine | EndLine): string {
  return line.type === "head" ? headLine(line) : endLine(line.end, line.signature);
}
