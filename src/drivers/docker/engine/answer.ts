import { Readable } from "node:stream";
import { isRecord } from "./json-lines.ts";

/** The library hands out node's own response as a stream; its types promise less. */
export function toReadable(stream: unknown): Readable {
  if (stream instanceof Readable) return stream;
  throw new TypeError("the Docker library gave no stream");
}

/** A text field of an answer whose types promise more than every engine keeps. */
export function readText(answer: unknown, field: string): string | undefined {
  const value = isRecord(answer) ? answer[field] : undefined;
  return typeof value === "string" ? value : undefined;
}

/** A list of texts in an answer; engines write `null` for an empty one. */
export function readTexts(answer: unknown, field: string): readonly string[] {
  const value = isRecord(answer) ? answer[field] : undefined;
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}
